"""Software, version, service and mode of a server, by the fields of its INFO, its host name and its login."""

import pytest

from redis_pulse.server_info import SERVICES, SOFTWARE, identify


@pytest.mark.parametrize(
    ("fields", "host", "service"),
    [
        ({"redis_version": "7.1.0", "os": "Amazon ElastiCache"}, "", "elasticache"),
        ({"valkey_version": "8.0.1", "os": "Amazon ElastiCache"}, "10.0.0.7", "elasticache"),
        ({"redis_version": "7.1"}, "master.cart.ab12cd.use1.cache.amazonaws.com", "elasticache"),
        ({"redis_version": "7.1"}, "clustercfg.cart.ab12cd.cnn1.cache.amazonaws.com.cn", "elasticache"),
        ({"os": "Amazon ElastiCache"}, "cart-ab12cd.serverless.use1.cache.amazonaws.com", "elasticache-serverless"),
        ({"valkey_version": "7.3.0", "os": "Amazon MemoryDB"}, "", "memorydb"),
        ({"redis_version": "7.1"}, "clustercfg.cart.ab12cd.memorydb.eu-west-1.amazonaws.com", "memorydb"),
        ({"redis_version": "6.0.14", "os": "Windows", "server_load": "0.75"}, "10.0.0.7", "azure-cache"),
        ({"redis_version": "6.0.14"}, "cart.redis.cache.windows.net", "azure-cache"),
        ({"redis_version": "6.0.14"}, "CART.Redis.Cache.Windows.Net.", "azure-cache"),
        ({"redis_version": "7.4.0"}, "cart.westeurope.redis.azure.net", "azure-managed-redis"),
        ({"redis_version": "7.4.0"}, "cart.westeurope.redisenterprise.cache.azure.net", "azure-managed-redis"),
        ({"rlec_version": "7.22.0-28"}, "redis-12000.c1.eu-west-1-1.ec2.redns.redis-cloud.com", "redis-cloud"),
        ({"rlec_version": "7.22.0-28"}, "redis.internal", ""),
        ({"upstash_version": "1.13.3"}, "", "upstash"),
        ({"redis_version": "6.2.6"}, "eu1-cart-1.upstash.io", "upstash"),
        ({"valkey_version": "8.1.4"}, "cart-shop.a.aivencloud.com", "aiven"),
        ({"valkey_version": "8.1.4"}, "db-valkey-ams3-1-do-user-1-0.b.db.ondigitalocean.com", "digitalocean"),
        ({"redis_version": "7.2.4"}, "redis.example.com", ""),
        ({"redis_version": "3.0.504", "os": "Windows"}, "", ""),
        ({"redis_version": "7.2.4"}, "cache.amazonaws.com", ""),
        ({"redis_version": "7.2.4"}, "cache.amazonaws.com.example.org", ""),
    ],
)
def test_service_is_found_by_info_or_host_name(fields: dict[str, str], host: str, service: str) -> None:
    assert identify(fields, host).service == service


def test_login_names_the_service_most_exactly() -> None:
    """INFO and the address of a Memorystore do not name it, but a token of Google does."""
    assert identify({"valkey_version": "8.0.1"}, "10.0.0.7", "memorystore").service == "memorystore"
    assert identify({"os": "Amazon ElastiCache"}, "", "elasticache-serverless").service == "elasticache-serverless"
    assert identify({"os": "Amazon ElastiCache"}, "", "no service").service == "elasticache"


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({"redis_mode": "cluster"}, "cluster"),
        ({"server_mode": "standalone"}, "standalone"),
        ({"cluster_enabled": "1"}, "cluster"),
        ({"cluster_enabled": "0"}, ""),
        ({}, ""),
    ],
)
def test_mode_is_reported_or_follows_from_the_cluster(fields: dict[str, str], mode: str) -> None:
    assert identify(fields).mode == mode


def test_software_and_service_both_add_to_the_profile() -> None:
    """A Valkey at a service has the commands of Valkey, without those that the service forbids."""
    profile = identify({"valkey_version": "8.1.0", "os": "Amazon MemoryDB"}).profile
    assert profile.has == {"COMMANDLOG": (8, 1)}
    assert not profile.offers("CONFIG GET")
    assert profile.offers("SLOWLOG LEN")
    assert profile.title == "Amazon MemoryDB"


def test_subcommand_can_be_refused_alone() -> None:
    profile = identify({"rlec_version": "7.22.0-28"}).profile
    assert not profile.offers("LATENCY LATEST")
    assert profile.offers("LATENCY HISTOGRAM")


def test_names_are_unique() -> None:
    for profiles in (SOFTWARE, SERVICES):
        names = [profile.name for profile in profiles]
        assert len(set(names)) == len(names)
        assert all(profile.title for profile in profiles)
