# An upgrade starts the new version; a removal leaves the state to the operator, as the package manager does with the configuration.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -ge 1 ]; then
        systemctl try-restart gotthard.service || :
    fi
fi
# Folders are nobody's to RPM; those that are empty go.
if [ "$1" -eq 0 ]; then
    for folder in /usr/share/doc/gotthard/docs /usr/share/doc/gotthard /etc/gotthard; do
        rmdir "$folder" 2>/dev/null || :
    done
fi
