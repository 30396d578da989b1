#!/bin/sh
# Process 1 of a machine, in namespaces of its own: the host's files below an overlay that ends with it, and systemd.
# $1: an empty folder. $2: a folder of the host that it sees as /mnt.
set -e

mount -t tmpfs tmpfs "$1"
mkdir "$1/changes" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs dev
mount -t tmpfs tmpfs tmp
mount --bind "$2" mnt
mkdir dev/net dev/shm
for device in null zero full random urandom net/tun; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
# As systemd-nspawn has it: systemd mounts credentials in a namespace of their own, and they are to be seen in the service's.
mount --make-rshared .
# Of the host's services none is started, and what is installed starts and stops as anywhere.
rm -f etc/systemd/system/*.wants/* usr/sbin/policy-rc.d
# An installation would index every manual page, and read lists of packages that cannot be fetched from here.
rm -rf var/lib/man-db/auto-update var/lib/apt/lists/*
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --system --unit=multi-user.target
