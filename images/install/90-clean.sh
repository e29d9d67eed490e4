#!/usr/bin/env bash
# What must not be in an image: this machine's identity, its keys, its logs, what was typed. Runs last.
source ./lib.sh

rm -f /usr/sbin/policy-rc.d
# Nobody logs in to a node. Packer's own session goes on.
systemctl mask ssh.service ssh.socket sshd.service 2> /dev/null || true
rm -f /etc/ssh/ssh_host_*

apt-get --yes --quiet purge unattended-upgrades needrestart 2> /dev/null || true
apt-get --yes --quiet autoremove --purge
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/crash/*

cloud-init clean --logs --seed 2> /dev/null || cloud-init clean --logs
rm -rf /var/lib/cloud/instances /var/lib/cloud/instance /var/log/cloud-init*
# An empty file, not a missing one: the first boot then makes an id (https://systemd.io/BUILDING_IMAGES/).
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed /var/lib/systemd/credential.secret
rm -f /etc/netplan/50-cloud-init.yaml /etc/hostname
rm -f /etc/spillway/node.json /etc/spillway/environment
rm -rf /run/spillway/* /var/lib/dhcp/* /var/lib/chrony/*

journalctl --rotate > /dev/null 2>&1 || true
journalctl --vacuum-time=1s > /dev/null 2>&1 || true
rm -rf /var/log/journal/* /var/log/nginx/* /var/log/apt/* /var/log/unattended-upgrades
find /var/log -type f -exec truncate --size 0 {} +

for home in /root /home/*; do
  rm -rf "$home"/.bash_history "$home"/.cache "$home"/.python_history "$home"/.wget-hsts "$home"/.lesshst "$home"/.gnupg
done
# Keys of people who were let in to this builder; Packer's own goes with its session's user data.
rm -f /root/.ssh/authorized_keys
find /tmp /var/tmp -mindepth 1 -maxdepth 1 ! -name '*spillway*' ! -name 'systemd-private-*' ! -name 'packer*' ! -name 'script_*' \
  -exec rm -rf {} +
fstrim / 2> /dev/null || true
sync
