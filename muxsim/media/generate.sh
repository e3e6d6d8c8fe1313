#!/usr/bin/env bash
# Makes everything under muxsim/media: two synthetic clips as HLS ladders (fMP4, 3 s segments), thumbnails,
# animations and storyboards. The result is committed; run this only to change it:
#
#   apt-get install -y --no-install-recommends ffmpeg webp fonts-dejavu-core
#   bash muxsim/media/generate.sh
#
# The pictures are flat on purpose: a clip is small enough to be embedded in the binary, yet every rung has its own
# name and a timer burnt in, so that a viewer sees which rung plays and where. Nothing here shows a person or a brand.
set -euo pipefail
cd "$(dirname "$0")"

readonly fps=20 segment=3
readonly bold=/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf
readonly mono=/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# picture NAME SECONDS TITLE BACKGROUND ACCENT HEIGHT LABEL: the filter graph of one rung.
picture() {
  local seconds=$2 title=$3 back=$4 accent=$5 h=$6 label=$7
  local w=$(((h * 16 / 9 + 1) / 2 * 2)) u=$((h / 18)) i=0 colour bars=""
  for colour in 0xc8c8c8 0xc8c84a 0x4ac8c8 0x4ac85a 0xc85ac8 0xc84a4a 0x4a5ac8; do # a test card's bars
    bars+="drawbox=x=iw*$((14 + i * 10))/98:y=ih*62/100:w=iw*10/98+1:h=ih*15/100:color=$colour:t=fill,"
    i=$((i + 1))
  done
  printf '%s' "color=c=$back:s=${w}x${h}:r=$fps:d=$seconds,$bars" \
    "drawtext=fontfile=$bold:text='$title':fontcolor=white:fontsize=$((u * 14 / 10)):x=$u:y=$u," \
    "drawtext=fontfile=$bold:text='$label':fontcolor=$back:box=1:boxcolor=$accent:boxborderw=$((u / 3)):fontsize=$((u * 12 / 10)):x=w-tw-$u:y=$((u * 11 / 10))," \
    "drawtext=fontfile=$mono:text='%{eif\:floor(t/60)\:d\:2}\:%{eif\:mod(floor(t)\,60)\:d\:2}':fontcolor=white:fontsize=$((u * 5)):x=(w-tw)/2:y=h*0.24[bg];" \
    "color=c=$accent:s=${w}x$((u / 2)):r=$fps:d=${seconds}[bar];" \
    "color=c=white:s=$((u * 2))x$((u * 2)):r=$fps:d=$seconds,format=rgba,geq=r=255:g=255:b=255:a='clip(($u-0.5-hypot(X-$u+0.5\,Y-$u+0.5))*255\,0\,255)'[ball];" \
    "[bg][bar]overlay=x='-w+w*t/$seconds':y=H-h[a];" \
    "[a][ball]overlay=x='(W-w)/2+(W*0.42)*sin(2*PI*t/6)':y='H*0.84-(H*0.03)*abs(sin(PI*t))'"
}

# rung NAME SECONDS TITLE BACKGROUND ACCENT HEIGHT CRF: one rendition as fMP4 with its own playlist.
rung() {
  local name=$1 seconds=$2 height=$6 crf=$7 out=$1/${6}p
  mkdir -p "$out"
  ffmpeg -hide_banner -loglevel error -y \
    -f lavfi -i "$(picture "$1" "$2" "$3" "$4" "$5" "$6" "${6}p")" \
    -f lavfi -i "sine=f=220:r=8000:d=$seconds,volume='0.10+0.25*lt(mod(t,2),0.12)':eval=frame" \
    -map 0:v -map 1:a -c:v libx264 -preset veryslow -tune animation -profile:v main -level:v 3.1 -refs 3 -crf "$crf" -pix_fmt yuv420p \
    -g $((fps * segment)) -keyint_min $((fps * segment)) -sc_threshold 0 -bf 2 \
    -c:a aac -ac 1 -ar 8000 -b:a 2k -aac_coder fast -cutoff 1000 -flags +bitexact -fflags +bitexact -map_metadata -1 \
    -f hls -hls_time $segment -hls_playlist_type vod -hls_segment_type fmp4 -hls_flags independent_segments \
    -hls_fmp4_init_filename init.mp4 -hls_segment_filename "$out/%02d.m4s" \
    "$out/index.m3u8"
}

# images NAME SECONDS TITLE BACKGROUND ACCENT: posters, animations, storyboard.
images() {
  local name=$1 seconds=$2 source
  source=$(picture "$1" "$2" "$3" "$4" "$5" 360 "$6")
  mkdir -p "$name/thumbnail"
  local frame="$work/$name-%02d.png"
  ffmpeg -hide_banner -loglevel error -y -f lavfi -i "$source" -vf "fps=1/4:round=up,scale=426:240:flags=area" "$frame"
  local i=0 png
  for png in "$work/$name"-[0-9]*.png; do
    local to; to=$(printf '%s/thumbnail/%02d' "$name" "$i")
    ffmpeg -hide_banner -loglevel error -y -i "$png" -q:v 22 -bitexact "$to.jpg"
    cwebp -quiet -q 20 -m 6 "$png" -o "$to.webp"
    i=$((i + 1))
  done
  ffmpeg -hide_banner -loglevel error -y -f lavfi -i "$source" -t 3 -vf "fps=5,scale=320:-1:flags=area,split[x][y];[x]palettegen=max_colors=12[p];[y][p]paletteuse=dither=none" -bitexact "$name/animated.gif"
  gif2webp -quiet -lossy -q 10 -m 6 "$name/animated.gif" -o "$name/animated.webp"
  # 50 tiles, as Mux makes for assets under 15 minutes.
  ffmpeg -hide_banner -loglevel error -y -f lavfi -i "$source" -vf "fps=50/$seconds:round=up,scale=96:54:flags=area,tile=5x10" -frames:v 1 "$work/$name-board.png"
  ffmpeg -hide_banner -loglevel error -y -i "$work/$name-board.png" -q:v 31 -bitexact "$name/storyboard.jpg"
  cwebp -quiet -q 5 -m 6 "$work/$name-board.png" -o "$name/storyboard.webp"
}

rm -rf film trailer
film=(film 24 'Playgate demo film' 0x16213e 0xff8a3d)
for r in '270 37' '480 39' '720 41'; do
  read -r height crf <<<"$r"
  rung "${film[@]}" "$height" "$crf"
done
images "${film[@]}" poster
trailer=(trailer 12 'Public trailer' 0x10392f 0xf4d35e)
rung "${trailer[@]}" 270 38
images "${trailer[@]}" poster
ffmpeg -hide_banner -loglevel error -y -f lavfi -i "sine=f=220:r=8000:d=24,volume='0.10+0.25*lt(mod(t,2),0.12)':eval=frame" -c:a aac -ac 1 -ar 8000 -b:a 2k -aac_coder fast -cutoff 1000 -bitexact film/audio.m4a
du -sb film trailer
