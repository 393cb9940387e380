# Run in the desktop's session, as its user: prints one fact of the image a line, KEY=VALUE.
# Plain POSIX shell: the image may have nothing else.

say() { printf '%s=%s\n' "$1" "$2"; }
has() { command -v "$1" >/dev/null 2>&1; }

say lang "$LANG"
say charmap "$(locale charmap 2>/dev/null)"
say locales "$(locale -a 2>/dev/null | tr '\n' ' ')"

if has fc-list; then
    for pair in latin:e9 greek:3b1 cyrillic:434 chinese:4e2d japanese:3042 korean:d55c emoji:1f600; do
        say "font_${pair%%:*}" "$(fc-list ":charset=${pair#*:}" family | head -n 1)"
    done
else
    say no_fontconfig yes
fi

libraries=$(/sbin/ldconfig -p 2>/dev/null)
for library in libGL.so.1 libEGL_mesa.so.0 libpulse.so.0 libasound.so.2 libgtk-4.so.1; do
    case $libraries in *"$library "*) say "$library" yes ;; esac
done
say indirect "${LIBGL_ALWAYS_INDIRECT-}"
say sound_server "${PULSE_SERVER-}"

bus=${DBUS_SESSION_BUS_ADDRESS#unix:path=}
[ ! -S "${bus%%,*}" ] || say bus yes
has gnome-keyring-daemon && say keyring gnome-keyring
say ssh_agent "${SSH_AUTH_SOCK-}"
say input_method "${XMODIFIERS-}"

for locker in i3lock slock xlock xtrlock xsecurelock xscreensaver xfce4-screensaver \
    mate-screensaver cinnamon-screensaver gnome-screensaver light-locker; do
    has "$locker" && say locker "$locker"
done
say xdg_screensaver "$(command -v xdg-screensaver)"
say loginctl "$(command -v loginctl)"
exit 0
