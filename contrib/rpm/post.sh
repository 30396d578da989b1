# Enabled and not started: there is nothing to do before it is configured. $1: versions that are installed then.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
fi
if [ "$1" -eq 1 ]; then
    systemctl --no-reload enable gotthard.service >/dev/null 2>&1 || :
fi
