# shellcheck shell=bash
# What the bake scripts share; each sources it first. They run as root, in order, in this folder, on a builder without a GPU.
set -Eeuo pipefail
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8
umask 022

trap 'echo "bake: ${0##*/}: line $LINENO: $BASH_COMMAND: exit $?" >&2' ERR

say() { echo "bake: ${0##*/}: $*"; }

# Files of ours that a package brings too (nginx.conf) stay ours; nothing is taken that was not asked for.
apt_install() {
  apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    install --yes --quiet --no-install-recommends "$@"
}

apt_update() { apt-get -o DPkg::Lock::Timeout=300 update --quiet; }

# fetch URL SHA256 TARGET: what does not match never lies at TARGET.
fetch() {
  curl --fail --silent --show-error --location --proto '=https' --tlsv1.2 --retry 5 --retry-all-errors \
    --connect-timeout 20 --output "$3.part" "$1"
  echo "$2  $3.part" | sha256sum --check --strict --quiet
  mv "$3.part" "$3"
}

# repository_key URL FINGERPRINT TARGET: the key that signs a repository, only if it is the one that is expected.
repository_key() {
  local found
  curl --fail --silent --show-error --location --proto '=https' --tlsv1.2 --retry 5 --retry-all-errors \
    --connect-timeout 20 --output /tmp/repository.key "$1"
  # A file may hold several keys: each of them would be trusted, so the one that is expected is taken out of it.
  GNUPGHOME=$(mktemp -d)
  export GNUPGHOME
  gpg --batch --quiet --import /tmp/repository.key
  found=$(gpg --batch --with-colons --fingerprint "$2" | awk -F: '$1 == "fpr" && !n++ { print $10 }')
  if [[ $found != "$2" ]]; then
    echo "bake: $1 is not signed by $2" >&2
    return 1
  fi
  gpg --batch --yes --export --output "$3" "$2"
  gpgconf --kill all
  rm -rf "$GNUPGHOME" /tmp/repository.key
  unset GNUPGHOME
}

# component NAME VERSION: for the image's own list of what is in it.
component() {
  install -d -m 0755 /usr/share/spillway
  echo "$1 $2" >> /usr/share/spillway/components.txt
}

# Version of an installed package.
installed() { dpkg-query --show --showformat='${Version}' "$1"; }
