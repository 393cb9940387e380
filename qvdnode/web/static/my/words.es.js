// The words of the users' pages in Spanish.

/** @type {Record<string, string>} */
export const ES = {
  title: "Mis escritorios",
  login: "Usuario", password: "Contraseña", tenant: "Organización (si le han dado una)", log_in: "Entrar",
  log_out: "Salir", logged_in_as: "Sesión de {name}", none: "Todavía no tiene escritorios. Pida uno a su administrador.",
  open: "Abrir", start: "Arrancar", stop: "Parar", restart: "Reiniciar", application: "Aplicación",
  state_running: "En marcha", state_starting: "Arrancando", state_stopped: "Parado",
  blocked: "Fuera de servicio por mantenimiento",
  native: "Con el cliente nativo", copy: "Copiar", copied: "Copiado",
  native_help: "En un equipo Linux con el cliente de qvdnode, ejecute:",
  sure_stop: "¿Parar «{name}»? Se cierran sus programas y se pierde el trabajo sin guardar.",
  sure_restart: "¿Reiniciar «{name}»? Se cierran sus programas y se pierde el trabajo sin guardar.",
  busy_start: "Arrancando…", busy_stop: "Parando…", busy_restart: "Reiniciando…",
  no_server: "No se puede contactar con el servidor. Compruebe su red; esta página lo intenta sola de nuevo.",
  opening: "Abriendo el escritorio…", try_again: "Intentar de nuevo", to_list: "Mis escritorios", open_here: "Abrirlo aquí",
  reconnecting: "Se ha perdido la conexión. Abriendo el escritorio de nuevo…",
  end_taken_over: "El escritorio se ha abierto en otro sitio.", end_lost: "Se ha perdido la conexión con el escritorio, que sigue en marcha.",
  end_stopping: "El servidor se reinicia; el escritorio sigue en marcha.", wrong_login: "El usuario o la contraseña no son correctos, o la cuenta está bloqueada.",
  gave_up: "No se puede contactar con el escritorio. Compruebe su red e inténtelo de nuevo.",
  ctrl_alt_del: "Ctrl+Alt+Supr", super_key: "Tecla Súper", full_screen: "Pantalla completa", clipboard: "Portapapeles",
  text_mode: "Escribir con el teclado del teléfono o un método de entrada", keyboard: "Distribución del teclado", bar: "Menú del escritorio",
  clipboard_help: "Texto para pegar en el escritorio, o el que se ha copiado en él:", to_desktop: "Enviar al escritorio", close: "Cerrar",
  copied_there: "Copiado en el escritorio. Pulse para tenerlo aquí.", too_long: "No se puede pegar un texto de más de {kib} KiB.",
  not_typed: "Este texto no se puede escribir en el escritorio: {reason}", typing_field: "Teclado del escritorio",
};
