#!/usr/bin/env bash
# Adds Fraunhofer's AAC encoder from Debian's contrib and non-free: for those whose licences for it
# are in order, never by default (build argument WITH_FDKAAC=1).
set -euo pipefail
sed 's/ main$/ contrib non-free/' /etc/apt/sources.list >/etc/apt/sources.list.d/non-free.list
apt-get -qq update
DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends 'fdkaac=1.0.*'
rm /etc/apt/sources.list.d/non-free.list
rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf/*-old
