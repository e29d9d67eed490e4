#!/usr/bin/env bash
# What comes by itself at every boot, and what never does. Nothing is started here.
source ./lib.sh

systemctl enable spillway.target nginx.service chrony.service
# An array is made or found by spillway-storage; mdadm's mails and checks have nobody to tell and nothing to keep.
systemctl mask mdmonitor.service mdmonitor-oneshot.timer 2> /dev/null || true
