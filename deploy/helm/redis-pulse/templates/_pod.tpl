{{- /* The pod of the Deployment or of the StatefulSet. */}}
{{- define "redis-pulse.pod" -}}
{{- $config := include "redis-pulse.config" . }}
{{- $password := include "redis-pulse.password" . | fromYaml }}
{{- $tls := .Values.redisTlsConfig }}
{{- $certificates := and $tls.enabled (or $tls.caCertFile.secret.name $tls.clientCertFile.secret.name $tls.clientKeyFile.secret.name) }}
metadata:
  labels:
    {{- include "redis-pulse.labels" . | nindent 4 }}
    {{- with .Values.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ $config | sha256sum }}
    {{- with .Values.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "redis-pulse.serviceAccountName" . }}
  automountServiceAccountToken: false
  # Kubernetes would set variables for each Service with names like those of our settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: redis-pulse
      image: {{ include "redis-pulse.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- with .Values.command }}
      command:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      args:
        - serve
        - --listen=:9121
        {{- if $config }}
        - --config=/etc/redis-pulse/config/redis-pulse.yaml
        {{- end }}
        {{- if kindIs "map" .Values.extraArgs }}
        {{- range $name, $value := .Values.extraArgs }}
        - {{ if or (kindIs "invalid" $value) (eq (toString $value) "") }}{{ printf "--%s" $name | quote }}{{ else }}{{ printf "--%s=%v" $name $value | quote }}{{ end }}
        {{- end }}
        {{- else }}
        {{- range .Values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
        {{- end }}
      ports:
        - name: http-metrics
          containerPort: 9121
      {{- with include "redis-pulse.env" . | trim }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      livenessProbe:
        httpGet: {path: /-/healthy, port: http-metrics{{ if .Values.webConfig.tls }}, scheme: HTTPS{{ end }}}
        {{- toYaml .Values.livenessProbe | nindent 8 }}
      readinessProbe:
        httpGet: {path: /-/ready, port: http-metrics{{ if .Values.webConfig.tls }}, scheme: HTTPS{{ end }}}
        {{- toYaml .Values.readinessProbe | nindent 8 }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if or $config $password.name $certificates .Values.webConfig.existingSecret .Values.extraVolumeMounts }}
      volumeMounts:
        {{- if $config }}
        - {name: config, mountPath: /etc/redis-pulse/config, readOnly: true}
        {{- end }}
        {{- if $password.name }}
        - {name: password, mountPath: {{ .Values.auth.redisPasswordFile.mountPath }}, readOnly: true}
        {{- end }}
        {{- if $certificates }}
        - {name: tls, mountPath: {{ $tls.mountPath }}, readOnly: true}
        {{- end }}
        {{- if .Values.webConfig.existingSecret }}
        - {name: web-config, mountPath: /etc/redis-pulse/web, readOnly: true}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
  {{- if or $config $password.name $certificates .Values.webConfig.existingSecret .Values.extraVolumes }}
  volumes:
    {{- if $config }}
    - name: config
      configMap:
        name: {{ include "redis-pulse.fullname" . }}
    {{- end }}
    {{- if $password.name }}
    - name: password
      secret:
        secretName: {{ $password.name }}
        defaultMode: 0440
        items:
          - {key: {{ $password.key }}, path: {{ $password.key }}}
    {{- end }}
    {{- if $certificates }}
    - name: tls
      projected:
        defaultMode: 0440
        sources:
          {{- range $file, $from := dict "tls-ca-cert.crt" $tls.caCertFile "tls-client-cert.crt" $tls.clientCertFile "tls-client-key.key" $tls.clientKeyFile }}
          {{- if $from.secret.name }}
          - secret:
              name: {{ $from.secret.name }}
              items:
                - {key: {{ $from.secret.key }}, path: {{ $file }}}
          {{- end }}
          {{- end }}
    {{- end }}
    {{- if .Values.webConfig.existingSecret }}
    # One folder, so that the web configuration file names its certificate without a path.
    - name: web-config
      projected:
        defaultMode: 0440
        sources:
          - secret: {name: {{ .Values.webConfig.existingSecret }}}
          {{- with .Values.webConfig.existingTlsSecret }}
          - secret: {name: {{ . }}}
          {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "redis-pulse.env" -}}
{{- $password := include "redis-pulse.password" . | fromYaml }}
{{- $tls := .Values.redisTlsConfig }}
{{- if .Values.redisAddressConfig.enabled }}
- name: REDIS_URL
  valueFrom:
    {{ if .Values.redisAddressConfig.isSecret }}secretKeyRef{{ else }}configMapKeyRef{{ end }}:
      name: {{ .Values.redisAddressConfig.source.name }}
      key: {{ .Values.redisAddressConfig.source.key }}
{{- else if not (or .Values.config.targets .Values.config.discovery .Values.config.redis_url .Values.serviceMonitor.multipleTarget) }}
- name: REDIS_URL
  value: {{ if kindIs "slice" .Values.redisAddress }}{{ join "," .Values.redisAddress | quote }}{{ else }}{{ .Values.redisAddress | quote }}{{ end }}
{{- end }}
{{- if $password.name }}
- name: REDIS_PASSWORD_FILE
  value: {{ printf "%s/%s" .Values.auth.redisPasswordFile.mountPath $password.key }}
{{- end }}
{{- if and .Values.auth.enabled .Values.auth.redisUser }}
- name: REDIS_USER
  value: {{ .Values.auth.redisUser | quote }}
{{- end }}
{{- if $tls.enabled }}
{{- if $tls.skipTlsVerification }}
- name: REDIS_SSL_CERT_REQS
  value: none
- name: REDIS_PULSE_TLS_CHECK_HOSTNAME
  value: "false"
{{- end }}
{{- if $tls.caCertFile.secret.name }}
- name: REDIS_PULSE_TLS_CA_FILE
  value: {{ $tls.mountPath }}/tls-ca-cert.crt
{{- end }}
{{- if $tls.clientCertFile.secret.name }}
- name: REDIS_PULSE_TLS_CERT_FILE
  value: {{ $tls.mountPath }}/tls-client-cert.crt
{{- end }}
{{- if $tls.clientKeyFile.secret.name }}
- name: REDIS_PULSE_TLS_KEY_FILE
  value: {{ $tls.mountPath }}/tls-client-key.key
{{- end }}
{{- end }}
{{- if .Values.webConfig.existingSecret }}
- name: REDIS_PULSE_WEB_CONFIG_FILE
  value: /etc/redis-pulse/web/{{ .Values.webConfig.existingSecretKey }}
# The kubelet has no login.
- name: REDIS_PULSE_WEB_OPEN_PROBES
  value: "true"
{{- end }}
{{- if gt (int .Values.shards) 1 }}
# The number at the end of the host name of the pod is the number of its shard.
- name: REDIS_PULSE_SHARD
  value: auto/{{ int .Values.shards }}
{{- end }}
{{- if kindIs "map" .Values.env }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- else if .Values.env }}
{{- toYaml .Values.env | nindent 0 }}
{{- end }}
{{- end }}
