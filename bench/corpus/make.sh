# corpus DIR MIB [A [C [B]]]: see the package's comment. Run by bash -euo pipefail.
umask 022
mkdir -p "$1"
dir=$(cd "$1" && pwd) mib=$2
shift 2
work=$dir/.work
mounted=()

cleanup() {
  local m
  for m in "${mounted[@]}"; do umount -l "$m" 2>/dev/null || true; done
}
trap cleanup EXIT
trap 'exit 143' TERM INT

need() {
  local tool missing=
  for tool in "$@"; do command -v "$tool" >/dev/null || missing+=" $tool"; done
  [ -z "$missing" ] || { echo "not installed:$missing" >&2; exit 1; }
}

# Debian systems.
base=systemd-sysv,linux-image-amd64,openssh-server,python3,git,vim,build-essential,ca-certificates,curl,perl,iproute2,locales
more_b="openjdk-17-jre-headless postgresql nginx-light php-cli nodejs"
more_c="nginx-light redis-server tmux"

in_root() { # DIR COMMAND: in a chroot with this machine's sources
  local root=$1
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
  apt-config dump | grep -i 'acquire::.*proxy "' >"$root/etc/apt/apt.conf.d/99proxy" || true
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    grep " $release" | sort -u >"$root/etc/apt/sources.list"
  mount -t proc proc "$root/proc"
  mounted+=("$root/proc")
  chroot "$root" /bin/sh -ec "$2"
  umount "$root/proc"
}

lay() { # TREE IMAGE UUID: a GPT disk with one ext4 file system, filled
  local tmp=$2.tmp
  rm -f "$tmp"
  truncate -s "${mib}M" "$tmp"
  printf 'label: gpt\nlabel-id: %s\nstart=2048, type=L, uuid=%s\n' "$3" "$3" | sfdisk -q "$tmp"
  mkfs.ext4 -q -F -L root -U "$3" -E "offset=$((1 << 20)),hash_seed=$3,lazy_itable_init=0,nodiscard" \
    -d "$1" "$tmp" $(((mib - 2) * 1024))k
  fallocate -d "$tmp"
  mv "$tmp" "$2"
}

systems() {
  if [ -e "$dir/a.raw" ] && [ -e "$dir/b.raw" ] && [ -e "$dir/c.raw" ]; then return; fi
  need debootstrap mkfs.ext4 sfdisk
  [ "$(id -u)" = 0 ] || { echo "making Debian systems takes root; or name images of yours" >&2; exit 1; }
  release=$(. /etc/os-release; echo "$VERSION_CODENAME")
  local mirror a=$work/a b=$work/b
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' >"$work/mirrors"
  mirror=$(head -1 "$work/mirrors")
  if [ ! -e "$work/a.done" ]; then
    rm -rf "$a"
    debootstrap --variant=minbase --include="$base" "$release" "$a" "$mirror"
    printf '#!/bin/sh\nexit 101\n' >"$a/usr/sbin/policy-rc.d" # no services in a chroot
    chmod 755 "$a/usr/sbin/policy-rc.d"
    rm -f "$a"/var/cache/apt/archives/*.deb
    touch "$work/a.done"
  fi
  [ -e "$dir/a.raw" ] || lay "$a" "$dir/a.raw" 11111111-2222-3333-4444-555555555501
  if [ ! -e "$dir/c.raw" ]; then
    cp --sparse=always "$dir/a.raw" "$dir/c.raw.tmp"
    mkdir -p "$work/mnt"
    mount -o "loop,offset=$((1 << 20)),discard" "$dir/c.raw.tmp" "$work/mnt"
    mounted+=("$work/mnt")
    in_root "$work/mnt" "apt-get update -q; apt-get -qy upgrade; apt-get -qy --no-install-recommends install $more_c; apt-get clean; rm -rf /var/lib/apt/lists/*"
    umount "$work/mnt"
    fallocate -d "$dir/c.raw.tmp"
    mv "$dir/c.raw.tmp" "$dir/c.raw"
  fi
  if [ ! -e "$dir/b.raw" ]; then
    rm -rf "$b"
    cp -a "$a" "$b"
    in_root "$b" "apt-get update -q; apt-get -qy upgrade; apt-get -qy --no-install-recommends install $more_b; apt-get clean"
    lay "$b" "$dir/b.raw" 11111111-2222-3333-4444-555555555502
  fi
}

# Images that are given.
given() {
  local name
  for name in a c b; do
    [ $# -gt 0 ] || return 0
    if [ ! -e "$dir/$name.raw" ]; then
      qemu-img convert -O raw "$1" "$dir/$name.raw.tmp"
      mv "$dir/$name.raw.tmp" "$dir/$name.raw"
    fi
    shift
  done
}

# What nothing compresses: twice the disks' size, a MiB of it and a MiB of hole by
# turns.
random() {
  local out=$dir/rnd8g.raw i
  [ ! -e "$out" ] || return 0
  need openssl
  local size=$(($(stat -c %s "$dir/a.raw") * 2))
  rm -f "$out.tmp"
  truncate -s "$size" "$out.tmp"
  for ((i = 0; i < size; i += 512 << 20)); do
    # 256 MiB at a time, spread over twice as much.
    openssl enc -aes-128-ctr -nosalt -K 000102030405060708090a0b0c0d0e0f -iv "$(printf '%032x' "$i")" -in /dev/zero 2>/dev/null |
      head -c $((256 << 20)) >"$work/random" || true
    local j
    for ((j = 0; j < 256 && i + (j << 21) < size; j++)); do
      dd if="$work/random" of="$out.tmp" bs=1M count=1 skip="$j" seek="$(((i >> 20) + 2 * j))" conv=notrunc status=none
    done
  done
  mv "$out.tmp" "$out"
}

variant() { # NAME FORMAT OPTIONS…: of a
  local out=$dir/$1 format=$2
  shift 2
  [ ! -e "$out" ] || return 0
  qemu-img convert -f raw -O "$format" "$@" "$dir/a.raw" "$out.tmp"
  mv "$out.tmp" "$out"
}

need qemu-img
mkdir -p "$work"
if [ $# -gt 0 ]; then given "$@"; else systems; fi
variant a.qcow2 qcow2
variant a-zlib.qcow2 qcow2 -c
variant a-zstd.qcow2 qcow2 -c -o compression_type=zstd
variant a-512.qcow2 qcow2 -o cluster_size=512
variant a-2M.qcow2 qcow2 -o cluster_size=2M
variant a-zstd-2M.qcow2 qcow2 -c -o cluster_size=2M,compression_type=zstd
variant a-stream.vmdk vmdk -o subformat=streamOptimized
random
rm -rf "$work"
