"""Makes the buckets that are named, where they are not there yet: as the worker is told to."""

import os
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

SETTING = "AUDIO_PROCESSOR__STORAGE__{}"

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ[SETTING.format("ENDPOINT_URL")],
    region_name=os.environ[SETTING.format("REGION")],
    aws_access_key_id=os.environ[SETTING.format("ACCESS_KEY_ID")],
    aws_secret_access_key=os.environ[SETTING.format("SECRET_ACCESS_KEY")],
    config=Config(
        s3={"addressing_style": os.environ[SETTING.format("ADDRESSING_STYLE")]},
        request_checksum_calculation="when_required",
    ),
)
for bucket in sys.argv[1:]:
    try:
        s3.create_bucket(Bucket=bucket)
        print(f"{bucket}: made")
    except ClientError as error:
        if error.response["Error"]["Code"] not in {
            "BucketAlreadyOwnedByYou",
            "BucketAlreadyExists",
        }:
            raise
        print(f"{bucket}: there already")
