#!/usr/bin/env bash
# Builds ffmpeg and ffprobe from Debian's source package, with nothing in them but what the program
# asks of them: build-ffmpeg.sh VERSION PREFIX. What is not compiled in cannot be reached by an
# upload, links no library beside libc and zlib, and starts in milliseconds.
# tests/image/test_dockerfile.py holds the lists against audio_processor/media/argv.py.
set -euo pipefail
version=$1 prefix=$2

# fields in the order of audio_processor/media/argv.py; a name there can be several parts here
demuxers=(
    mp3 aac wav w64 flac aiff mov
    ogg asf wv ac3 eac3 matroska caf ape tta au
    avi mpegts mpegps flv
    pcm_f32le # our own blocks
)
# by these a program stream's parts are told apart; as files of their own, format_whitelist keeps
# them out
probed=(mpegvideo h264 hevc m4v dts loas truehd)
decoders=(
    mp3float mp3 mp2float mp2 mp1float mp1 aac aac_latm alac
    flac vorbis opus wmav1 wmav2 wmapro wmalossless wavpack
    ac3 eac3 dca truehd mlp ape tta amrnb amrwb
    pcm_alaw pcm_mulaw pcm_u8 pcm_s8 pcm_s16le pcm_s16be pcm_s24le
    pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be pcm_f64le
    pcm_f64be pcm_bluray pcm_dvd adpcm_ms adpcm_ima_wav adpcm_ima_qt
)
parsers=(aac aac_latm ac3 amr dca flac mlp mpegaudio mpegvideo opus vorbis)
encoders=(aac flac pcm_f32le pcm_s16le pcm_s24le pcm_s32le)
# hls and ipod: audio_processor/delivery/{segments,m4a}.py
muxers=(adts flac wav hls mpegts ipod null ffmetadata image2pipe pcm_f32le)
bsfs=(aac_adtstoasc null)
# what a decode's format filter needs, and the meters with which a delivery is checked by hand
filters=(aformat anull aresample atrim astats ebur128 volumedetect)
protocols=(file pipe)

only() { # only KIND NAME...: one --enable-KIND per name
    local kind=$1
    shift
    printf -- "--enable-$kind=%s\n" "$@"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get -qq source --download-only "ffmpeg=$version" # its signature is checked by apt
dpkg-source -x ffmpeg_*.dsc source >/dev/null
cd source

mapfile -t enabled < <(
    only demuxer "${demuxers[@]}" "${probed[@]}"
    only decoder "${decoders[@]}"
    only parser "${parsers[@]}"
    only encoder "${encoders[@]}"
    only muxer "${muxers[@]}"
    only bsf "${bsfs[@]}"
    only filter "${filters[@]}"
    only protocol "${protocols[@]}"
)
./configure --prefix="$prefix" --extra-version="${version#*-}" --toolchain=hardened \
    --disable-everything --disable-autodetect --enable-zlib \
    --disable-network --disable-avdevice --disable-swscale --disable-postproc \
    --disable-ffplay --disable-doc --disable-debug "${enabled[@]}"
make --silent -j "$(nproc)" ffmpeg ffprobe
install -D -m 755 -t "$prefix/bin" ffmpeg ffprobe
"$prefix/bin/ffmpeg" -hide_banner -version
"$prefix/bin/ffprobe" -hide_banner -version
