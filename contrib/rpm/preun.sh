# The peers are told, and no route or device stays.
if [ "$1" -eq 0 ]; then
    systemctl --no-reload disable gotthard.service >/dev/null 2>&1 || :
    if [ -d /run/systemd/system ]; then
        systemctl stop gotthard.service || :
    fi
fi
