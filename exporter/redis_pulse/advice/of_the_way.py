"""Advice about the way to a server: configuration, name, connection, TLS, protocol, login, permissions."""

from redis_pulse.advice.model import Advice

_DOWN = ("RedisTargetDown",)

THE_WAY: tuple[Advice, ...] = (
    Advice(
        "RP101", "config.unusable", "error", "The configuration cannot be used",
        "{location}: {problem}. The daemon refuses the whole file.",
        "Correct this line. Then check the file again.",
        "redis-pulse check-config {file}", ("RedisExporterReloadFailed",), "configuration.md",
    ),
    Advice(
        "RP102", "config.warning", "warning", "The configuration has a warning",
        "{problem}.", "Correct the setting that the warning names.",
        "redis-pulse check-config {file}", (), "configuration.md",
    ),
    Advice(
        "RP103", "secret.unreadable", "error", "A secret cannot be read",
        "{location}: {problem}. Without it there is no connection.",
        "Let the user of the daemon read the file. Look at the mount of the Secret.",
        "ls -l {path}", ("RedisAuthFailing",), "troubleshooting.md",
    ),
    Advice(
        "RP104", "url.password", "warning", "The URL contains a password",
        "The history of the shell and the list of processes show it to others.",
        "Write the password into a file that only you can read. Use --password-file, or REDIS_PASSWORD.",
        "redis-pulse doctor {address} --password-file FILE", (), "security.md",
    ),
    Advice(
        "RP105", "config.default_target", "warning", "No target is set",
        "{problem}.", "Set REDIS_URL, or targets in a file.",
        "redis-pulse doctor redis://HOST:6379", (), "configuration.md",
    ),
    Advice(
        "RP201", "dns", "error", "The name is not known",
        "The name {host} cannot be resolved here.",
        "Check the spelling of the name. In a container, localhost is the container itself.",
        "getent hosts {host}", _DOWN,
    ),
    Advice(
        "RP202", "refused", "error", "Connection refused",
        "The host answers, and nothing listens on port {port}: the connection is refused.",
        "On {host}: is the server running, and are its port and bind right?",
        "systemctl status 'redis*' 'valkey*'", _DOWN,
    ),
    Advice(
        "RP203", "connect.timeout", "error", "No connection in time",
        "No packet gets an answer from {host}, port {port}. A firewall drops them, or the host is dead.",
        "Look for a firewall or a NetworkPolicy between here and {host}.",
        "nc -zv {host} {port}", _DOWN,
    ),
    Advice(
        "RP204", "unreachable", "error", "There is no route to the server",
        "The network cannot reach {host}.",
        "Check the network between here and the server, and the address.",
        "ip route get {ip}", _DOWN,
    ),
    Advice(
        "RP205", "reset", "error", "The connection is closed",
        "The other side closed the connection while it was in use.",
        "Find out what stands between, and its idle limit. Right after connecting: does the port want TLS?",
        "redis-cli {cli} CONFIG GET timeout", _DOWN,
    ),
    Advice(
        "RP206", "timeout", "error", "The server does not answer in time",
        "The connection stands, and the server sends no reply.",
        "On its host, look at the process. R at 100 % is a long command, D is the disk, T means stopped.",
        "ps -o stat,pcpu,wchan,args -C redis-server,valkey-server", ("RedisTargetDown", "RedisProbeFailureRateHigh"),
    ),
    Advice(
        "RP207", "socket", "error", "The socket cannot be used",
        "No connection is possible through the socket {host}: {problem}.",
        "Is the server running, with this path as unixsocket? May our user write to the socket?",
        "ls -l {host}", _DOWN,
    ),
    Advice(
        "RP211", "tls.plain_port", "error", "The port has no TLS",
        "The URL asks for TLS, and the port {port} does not speak it.",
        "Use {plain_address} in the URL.",
        "redis-pulse doctor {plain_address}", _DOWN,
    ),
    Advice(
        "RP212", "tls.wanted", "error", "The port wants TLS",
        "The port {port} speaks TLS, and the URL does not ask for it.",
        "Use {tls_address} in the URL.",
        "redis-pulse doctor {tls_address}", _DOWN,
    ),
    Advice(
        "RP213", "tls.expired", "error", "The certificate has expired",
        "The TLS certificate of the server ended on {until}.",
        "Renew the certificate, then let the server read it. With the expired one, redis-cli needs --insecure.",
        "redis-cli {admin_cli} --insecure CONFIG SET tls-cert-file FILE tls-key-file FILE",
        ("RedisTLSCertificateExpiring", *_DOWN),
    ),
    Advice(
        "RP214", "tls.name", "error", "The certificate is for another name",
        "The TLS certificate is not for the name {host}. It is for {names}.",
        "Use one of its names in the URL, or set tls.server_name.",
        "openssl s_client -connect {hostport} </dev/null | openssl x509 -noout -ext subjectAltName", _DOWN,
    ),
    Advice(
        "RP215", "tls.authority", "error", "The certificate is from an unknown authority",
        "The TLS certificate is signed by an authority that is not trusted here.",
        "Give the certificate of the authority: tls.ca_file, or --tls-ca-file. Never set cert_reqs: none.",
        "redis-pulse doctor {address} --tls-ca-file CA.crt", _DOWN,
    ),
    Advice(
        "RP216", "tls.client_certificate", "error", "The server wants a client certificate",
        "The server has tls-auth-clients yes, and no certificate of the client is set. TLS so ends at once.",
        "Set tls.cert_file and tls.key_file of the target, or --tls-cert-file and --tls-key-file.",
        "redis-pulse doctor {address} --tls-cert-file CLIENT.crt --tls-key-file CLIENT.key", _DOWN,
    ),
    Advice(
        "RP217", "certificate", "warning", "The certificate ends soon",
        "The TLS certificate of the server ends in {days} days, on {until}.",
        "Renew the certificate.",
        "openssl s_client -connect {hostport} </dev/null | openssl x509 -noout -dates",
        ("RedisTLSCertificateExpiring", "RedisServerCertificateExpiring"),
    ),
    Advice(
        "RP218", "tls.unchecked", "note", "The certificate is not checked",
        "With cert_reqs: none, anyone on the path can read the password.",
        "Set tls.ca_file, and remove cert_reqs.", "", (), "security.md",
    ),
    Advice(
        "RP219", "tls", "error", "The TLS handshake fails",
        "TLS fails: {problem}.",
        "Compare the TLS settings of the target with those of the server.",
        "openssl s_client -connect {hostport} </dev/null", _DOWN,
    ),
    Advice(
        "RP220", "tls.facts", "note", "TLS works",
        "The connection uses {version}. The server accepts {versions}. The certificate ends in {days} days.",
        "Nothing is to be done.",
    ),
    Advice(
        "RP228", "tls.not_yet", "error", "The certificate is not valid yet",
        "The TLS certificate of the server begins on {since}. Or the clock of this host is behind.",
        "Compare the clock of this host with the right time. Else use a certificate that has begun.",
        "date -u; openssl s_client -connect {hostport} </dev/null | openssl x509 -noout -dates", _DOWN,
    ),
    Advice(
        "RP221", "protocol.http", "error", "This is a web server",
        "The port {port} answers with HTTP, and not as Redis does.",
        "Check the port. A Redis usually has port 6379.",
        "curl -skI {web_address}/", _DOWN,
    ),
    Advice(
        "RP222", "protocol.ssh", "error", "This is an SSH server",
        "The port {port} answers as SSH does, and not as Redis does.",
        "Check the port. A Redis usually has port 6379.",
        "ssh-keyscan -p {port} {host}", _DOWN,
    ),
    Advice(
        "RP223", "protocol.sentinel", "warning", "This is a Sentinel",
        "The address is that of a Sentinel. A Sentinel holds no data, so most metrics are missing.",
        "Set the address of the server, or let the Sentinel name its servers: sentinel: {hosts: [{hostport}]}.",
        "redis-cli {cli} SENTINEL MASTERS", (), "sentinel.md",
    ),
    Advice(
        "RP224", "protocol", "error", "This is not a Redis",
        "The port {port} answers, and not as Redis does: {problem}.",
        "Find out what listens there.",
        "redis-cli {cli} PING", _DOWN,
    ),
    Advice(
        "RP225", "protocol.proxy", "warning", "This is a proxy",
        "PING works, and INFO does not: {problem}. So a proxy answers, not the server.",
        "Watch the servers behind the proxy by their own addresses.",
        "redis-cli {cli} INFO server", (), "servers.md",
    ),
    Advice(
        "RP226", "too_large", "error", "A reply is too large",
        "A reply is larger than poll.max_reply: {problem}.",
        "Find out what sends so much. Raise poll.max_reply if the size is right.", "", ("RedisCollectorFailing",),
    ),
    Advice(
        "RP227", "other", "error", "The server answers with an unknown error",
        "The server answers: {problem}.",
        "Send the same command by hand, and read the log of the server.",
        "redis-cli {cli} PING", _DOWN,
    ),
    Advice(
        "RP301", "auth.missing", "error", "The server wants a password",
        "The server wants a password, and none is set.",
        "Set password_file of the target, or use --password-file or REDIS_PASSWORD.",
        "redis-pulse doctor {address} --password-file FILE", ("RedisAuthFailing",),
    ),
    Advice(
        "RP302", "auth", "error", "The password is wrong",
        "The server does not accept the password of the user {user}.",
        "Compare the password with requirepass, or with the user on the server. "
        "Then set the right one: password_file of the target, --password-file, or REDIS_PASSWORD.",
        "redis-cli {admin_cli} ACL GETUSER {user}", ("RedisAuthFailing",),
    ),
    Advice(
        "RP303", "auth.user", "error", "The user or the password is wrong",
        "The server does not accept the user {user}: it is unknown, switched off, or its password is another.",
        "Look at the user on the server. After a restart, a user without ACL SAVE is lost.",
        "redis-cli {admin_cli} ACL GETUSER {user}", ("RedisAuthFailing",),
    ),
    Advice(
        "RP304", "auth.unexpected", "error", "The server wants no password",
        "A password is set for the target, and the server has none.",
        "Remove the password of the target, or set one on the server.",
        "redis-cli {cli} CONFIG GET requirepass", ("RedisAuthFailing",),
    ),
    Advice(
        "RP305", "auth.protected", "error", "Protected mode refuses us",
        "The server is in protected mode: it has no password, and accepts only its own host.",
        "On the host of the server, set a password and save it. Give it to the exporter too.",
        "redis-cli -p {port} ACL SETUSER default on '>PASSWORD'", ("RedisAuthFailing",),
    ),
    Advice(
        "RP306", "auth.token", "error", "There is no login",
        "The login comes from credentials.{source}, and it cannot be renewed: {problem}.",
        "Run the command as the user of the daemon. Or look at the identity of the machine, and at its role.",
        "redis-pulse doctor {target} --config FILE", ("RedisCredentialsNotRenewed",), "logins.md",
    ),
    Advice(
        "RP307", "token.facts", "note", "The login expires",
        "The login comes from credentials.{source}. It expires at {until}.",
        "Nothing. The daemon renews it before that, and replaces its connections.", "", (), "logins.md",
    ),
    Advice(
        "RP308", "overloaded", "error", "The login cannot be checked",
        "The identity service behind the server could not check the login: {problem}.",
        "Wait. The token may be right. If it lasts, look at the quota of the service.", "", _DOWN, "servers.md",
    ),
    Advice(
        "RP311", "permission", "error", "A needed command is not permitted",
        "The user {user} may not run {command}. No measurement works without it.",
        "Grant the command on the server. Then save the users: ACL SAVE, or CONFIG REWRITE without an aclfile.",
        "redis-cli {admin_cli} ACL SETUSER {user} {words}", ("RedisAuthFailing",), "acl.md",
    ),
    Advice(
        "RP312", "denied", "warning", "Collectors lack permissions",
        "The user {user} may not run {commands}. The collectors {collectors} lack data.",
        "Grant the commands on the server, then run ACL SAVE. Or switch the collectors off.",
        "redis-cli {admin_cli} ACL SETUSER {user} {words}", (), "acl.md",
    ),
    Advice(
        "RP313", "denied.keys", "warning", "Collectors may not read keys",
        "The user {user} may not read the keys that the collectors {collectors} need.",
        "Grant reading of these keys on the server.",
        "redis-cli {admin_cli} ACL SETUSER {user} '%R~PATTERN'", (), "acl.md",
    ),
    Advice(
        "RP314", "acl.line", "note", "The ACL line with the least permissions",
        "A user with these permissions can run the chosen collectors, and nothing else.",
        "Run the line on the server, with your own password. Doctor changes nothing.",
        "redis-cli {admin_cli} {line}", (), "acl.md",
    ),
)  # fmt: skip
