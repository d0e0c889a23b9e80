"""The settings of logins that expire: a command, or the identity service of a cloud, returns the token."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from redis_pulse.config.types import Options, PositiveSeconds

#: The sources of tokens, as the settings spell them.
TokenSourceKind = Literal["command", "aws", "azure", "google"]
TOKEN_SOURCE_KINDS: tuple[TokenSourceKind, ...] = ("command", "aws", "azure", "google")
AZURE_SCOPE = "https://redis.azure.com/.default"

_CACHE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,254}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_MAX_WORDS = 100


def _words(value: Any) -> Any:
    if value is None:
        return None
    words = [_text(word) for word in value] if isinstance(value, list | tuple) else []
    if not words or len(words) > _MAX_WORDS or None in words or not words[0]:
        raise ValueError("must be a list of words, such as [/usr/local/bin/token, --json]: no shell reads it")
    if any("\0" in str(word) for word in words):
        raise ValueError("must not contain the character NUL")
    return tuple(words)


def _text(word: Any) -> str | None:
    if isinstance(word, SecretStr):
        return word.get_secret_value()
    return word if isinstance(word, str) else None


def _true_or_settings(value: Any) -> Any:
    if value is True:
        return {}
    return None if value is False else value


def _cache_name(value: str) -> str:
    if not _CACHE_NAME.fullmatch(value):
        raise ValueError("must be the name of the cache or cluster, in lower case, and not its endpoint or ARN")
    return value


def _region(value: str) -> str:
    if not _REGION.fullmatch(value):
        raise ValueError("must be the code of a region, such as eu-west-1")
    return value


class AwsSettings(Options):
    """A token of AWS IAM, for ElastiCache and MemoryDB. It needs ``redis-pulse[aws]``."""

    service: Literal["elasticache", "memorydb"] = Field(
        "elasticache", description="The service that runs the server. It is a part of the signature."
    )
    name: Annotated[str, AfterValidator(_cache_name)] = Field(
        description="Id of the replication group, or name of the serverless cache or of the MemoryDB cluster."
    )
    user: str = Field(min_length=1, description="User of the service. Its id and its name must be equal.")
    region: Annotated[str, AfterValidator(_region)] = Field(description="Region of the cache, such as eu-west-1.")
    serverless: bool = Field(default=False, description="Whether it is an ElastiCache Serverless cache.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.serverless and self.service == "memorydb":
            raise ValueError("has serverless: true, which only ElastiCache has")
        return self


class AzureSettings(Options):
    """A token of Microsoft Entra, for Azure Managed Redis and Azure Cache. It needs ``redis-pulse[azure]``."""

    client_id: str | None = Field(
        None, min_length=1, description="Client id of a user-assigned identity. Default: that of the environment."
    )
    user: str | None = Field(
        None, min_length=1, description="User to log in as. Default: the object id (oid) in the token."
    )
    scope: str = Field(AZURE_SCOPE, min_length=1, description="Scope of the token. Other clouds have another one.")


class GoogleSettings(Options):
    """An access token of Google IAM, for Memorystore. It needs ``redis-pulse[google]``."""

    user: str = Field("default", min_length=1, description="User to log in as. Memorystore has only this one.")


class CredentialsSettings(Options):
    """A login that expires, in place of a password. It is renewed at two thirds of its life."""

    command: Annotated[tuple[SecretStr, ...] | None, BeforeValidator(_words)] = Field(
        None,
        description="Program and arguments. It prints a password, or JSON with username, password and expires_at. No "
        "shell reads it, and its output is never shown.",
    )
    aws: AwsSettings | None = Field(
        None, description="Token of AWS IAM: service (elasticache, memorydb), name, user, region, serverless."
    )
    azure: Annotated[AzureSettings | None, BeforeValidator(_true_or_settings)] = Field(
        None, description="Token of Microsoft Entra: true, or client_id, user, scope."
    )
    google: Annotated[GoogleSettings | None, BeforeValidator(_true_or_settings)] = Field(
        None, description="Access token of Google IAM: true, or user."
    )
    timeout: PositiveSeconds = Field(
        10.0, ge=0.1, le=300, description="Deadline of one renewal. A command is then killed with its children."
    )
    refresh_interval: PositiveSeconds = Field(
        300.0, ge=1, description="Time between two renewals of a password that has no expires_at."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if len(self._sources) != 1:
            kinds = ", ".join(TOKEN_SOURCE_KINDS)
            raise ValueError(f"has {'no source' if not self._sources else 'several sources'}: set one of {kinds}")
        return self

    @property
    def _sources(self) -> list[TokenSourceKind]:
        return [kind for kind in TOKEN_SOURCE_KINDS if getattr(self, kind) is not None]

    @property
    def kind(self) -> TokenSourceKind:
        """The source of the tokens."""
        return self._sources[0]

    @property
    def user(self) -> str | None:
        """The user that the source names before there is a token, or None if only the token names it."""
        source = self.aws or self.azure or self.google
        return None if source is None else source.user

    @property
    def service(self) -> str:
        """The managed service to which the tokens belong, or an empty text if the source does not tell."""
        if self.aws is not None:
            return f"{self.aws.service}-serverless" if self.aws.serverless else self.aws.service
        return "memorystore" if self.google is not None else ""
