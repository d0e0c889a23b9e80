{{- define "redis-pulse.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "redis-pulse.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "redis-pulse.selector" -}}
app.kubernetes.io/name: {{ include "redis-pulse.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "redis-pulse.labels" -}}
{{ include "redis-pulse.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.customLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "redis-pulse.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "redis-pulse.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "redis-pulse.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- /* The Secret with the password, and its key: {"name": …, "key": …}. Without a Secret the name is empty. */}}
{{- define "redis-pulse.password" -}}
{{- $auth := .Values.auth }}
{{- $found := dict "name" "" "key" "" }}
{{- if $auth.enabled }}
{{- if and $auth.redisPasswordFile.secret.name $auth.redisPasswordFile.secret.key }}
{{- $found = dict "name" $auth.redisPasswordFile.secret.name "key" $auth.redisPasswordFile.secret.key }}
{{- else if $auth.existingSecret }}
{{- $found = dict "name" $auth.existingSecret "key" $auth.existingSecretKey }}
{{- else if and $auth.secret.name $auth.secret.key }}
{{- $found = dict "name" $auth.secret.name "key" $auth.secret.key }}
{{- else if $auth.redisPassword }}
{{- $found = dict "name" (include "redis-pulse.fullname" .) "key" "redis-password" }}
{{- else }}
{{- fail "auth.enabled needs a password: set auth.existingSecret (a Secret with the key redis-password), auth.secret.name and .key, or auth.redisPassword" }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{- /* The configuration file: `config`, with the targets of serviceMonitor.targets, and their login. */}}
{{- define "redis-pulse.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if .Values.serviceMonitor.multipleTarget }}
{{- $password := include "redis-pulse.password" . | fromYaml }}
{{- $targets := default list $config.targets }}
{{- range .Values.serviceMonitor.targets }}
{{- $target := dict "name" .name "url" .url }}
{{- if $password.name }}
{{- $_ := set $target "password_file" (printf "%s/%s" $.Values.auth.redisPasswordFile.mountPath $password.key) }}
{{- end }}
{{- if and $.Values.auth.enabled $.Values.auth.redisUser }}
{{- $_ := set $target "username" $.Values.auth.redisUser }}
{{- end }}
{{- $targets = append $targets $target }}
{{- end }}
{{- $_ := set $config "targets" $targets }}
{{- end }}
{{- if $config }}
{{- toYaml $config }}
{{- end }}
{{- end }}

{{- /* Combinations that cannot work, each with a hint. */}}
{{- define "redis-pulse.check" -}}
{{- if .Values.script }}
{{- fail "script is a value of prometheus-redis-exporter: mount the script with extraVolumes and extraVolumeMounts, and name its file in config.collectors.scripts" }}
{{- end }}
{{- $tls := .Values.redisTlsConfig }}
{{- if or $tls.serverCertFile.secret.name $tls.serverKeyFile.secret.name }}
{{- fail "redisTlsConfig.serverCertFile and .serverKeyFile: redis-pulse reads the certificate of its pages from a web configuration file: use webConfig, and see docs/exposing.md" }}
{{- end }}
{{- if and (or .Values.webConfig.tls .Values.webConfig.existingTlsSecret) (not .Values.webConfig.existingSecret) }}
{{- fail "webConfig.tls and .existingTlsSecret need webConfig.existingSecret, a Secret with the key web-config.yaml: see docs/exposing.md" }}
{{- end }}
{{- if gt (int .Values.shards) 1 }}
{{- if .Values.serviceMonitor.multipleTarget }}
{{- fail "shards and serviceMonitor.multipleTarget cannot be combined: each pod answers for its own targets only; leave multipleTarget out, because the page of each pod has all its targets" }}
{{- end }}
{{- if gt (int .Values.replicaCount) 1 }}
{{- fail "shards and replicaCount cannot be combined: shards is the number of pods" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.multipleTarget (not .Values.serviceMonitor.targets) }}
{{- fail "serviceMonitor.multipleTarget needs serviceMonitor.targets, a list of name and url" }}
{{- end }}
{{- if and .Values.redisAddressConfig.enabled (not (and .Values.redisAddressConfig.source.name .Values.redisAddressConfig.source.key)) }}
{{- fail "redisAddressConfig.enabled needs redisAddressConfig.source.name and .key; or leave it out and set redisAddress" }}
{{- end }}
{{- end }}
