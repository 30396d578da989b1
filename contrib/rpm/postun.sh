# An upgrade starts the new version; a removal leaves the state to the operator, as the package manager does with the configuration.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -ge 1 ]; then
        systemctl try-restart gotthard.service || :
    fi
fi
