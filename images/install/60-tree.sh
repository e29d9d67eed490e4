#!/usr/bin/env bash
# The file tree (../rootfs), over everything that packages have put there.
source ./lib.sh

cp --recursive --no-dereference --preserve=mode,links --no-preserve=ownership --remove-destination ../rootfs/. /
chown --recursive --no-dereference root:root /opt/spillway/app /etc/spillway /etc/nginx
systemd-sysusers
systemd-tmpfiles --create /etc/tmpfiles.d/spillway.conf
/opt/spillway/venv/bin/python -m compileall -q -j 0 /opt/spillway/app /opt/spillway/venv/lib
update-initramfs -u -k "$(< /etc/spillway-kernel)"
rm /etc/spillway-kernel
systemctl daemon-reload
