"""The stages that ask who somebody is, and those of administrators."""

import logging
from collections.abc import Mapping

from switchyard.gateway.administration.audit_logs import audit_logs
from switchyard.gateway.administration.keys import administer_keys
from switchyard.gateway.assembly.parts import Parts
from switchyard.gateway.cache.administration import administer_cache
from switchyard.gateway.cache.policy import caching_of_all
from switchyard.gateway.cache.stages import Cache
from switchyard.gateway.keys.finder import KeyFinder
from switchyard.gateway.pipeline import Stage
from switchyard.gateway.stages.authenticate import Authenticate, authorize
from switchyard.gateway.tenants.caching import Caching
from switchyard.gateway.tenants.directory import Directory
from switchyard.gateway.tokens.verifier import Tokens

logger = logging.getLogger(__name__)


def access_stages(given: Parts) -> tuple[Stage, ...]:
    """Return the stages that ask for keys or tokens, and keep count of them; none where no file names any."""
    tenants, keys, metrics = given.tenants, given.keys, given.meter.metrics.access
    if tenants is None:
        return ()

    tokens = Tokens(lambda issuer, valid: metrics.issuers_outdated.labels(issuer).set(not valid))

    def show(directory: Directory, *, valid: bool) -> None:
        metrics.tenants.set(len(directory.tenants))
        metrics.tenants_outdated.set(not valid)
        given.meter.keep_tenants(directory.tenants)
        tokens.use(directory.issuers)
        if keys and (both := [key_id for key_id in directory.key_ids if keys.get(key_id)]):
            logger.error("tenants.yaml and the store both have the keys %s; rename them in the file", ", ".join(both))

    tenants.on_read = show
    metrics.keys.set_function(lambda: len(tenants.current) + (len(keys) if keys else 0))
    if keys is not None:
        keys.on_read = lambda valid: metrics.keys_outdated.set(not valid)
    show(tenants.current, valid=True)
    reject = metrics.keys_rejected.labels
    finder = KeyFinder(lambda: tenants.current, keys)
    scrapers = given.settings.metrics_key_sha256
    return Authenticate(finder, lambda: tenants.current, tokens, lambda why: reject(why).inc(), scrapers), authorize


def administration(given: Parts, cache: Cache | None) -> tuple[Stage, ...]:
    """Return the stages of an organization's administrators."""
    tenants, audit = given.tenants, given.audit
    audit.on_unwritten = given.meter.metrics.access.audit_unwritten.inc

    def directory() -> Directory:
        return tenants.current if tenants else Directory()

    def cached() -> Mapping[str | None, Caching]:
        if tenants is not None:
            return dict(tenants.current.caching().items())
        of_all = caching_of_all(given.settings)
        return {} if of_all is None else {None: of_all}

    return (
        audit_logs(journal=audit.journal),
        administer_cache(cache=cache, tenants=cached, audit=audit),
        administer_keys(directory=directory, keys=given.keys, audit=audit),
    )
