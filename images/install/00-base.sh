#!/usr/bin/env bash
# Security updates, the packages that the node's units need, and quiet: nothing else may hold apt's lock or start by itself.
source ./lib.sh

systemctl stop unattended-upgrades.service apt-daily.timer apt-daily-upgrade.timer 2> /dev/null || true
# Packages' services must not start here: there is no GPU, no certificate and no node.json.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

apt_update
apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
  dist-upgrade --yes --quiet

apt_install ca-certificates curl gnupg openssl jq pciutils kmod udev dbus \
  mdadm xfsprogs nvme-cli util-linux \
  python3 python3-venv python3-dev \
  build-essential dkms libnuma1 ninja-build \
  chrony

rm -f /usr/share/spillway/components.txt
component ubuntu "$(. /etc/os-release && echo "$VERSION_ID")"
