"""Decides whether rendered NetworkPolicies let one peer connect to another, as a network plugin would.

The semantics are those of the API's own documentation (networking.k8s.io/v1 NetworkPolicy): a pod that no policy of a
direction selects is open in it; else some rule of some policy must admit the peer and the port.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from switchyard.local.plan.references.selectors import selects
from tests.manifests.documents import Document


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A pod of ``namespace``, or with no namespace an address outside of the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = ""
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.201.0.9"


def connects(policies: Sequence[Document], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether ``source`` may open a connection to ``port`` of ``target``."""
    return _admits(policies, "Egress", source, target, port, protocol) and _admits(
        policies, "Ingress", target, source, port, protocol
    )


def _admits(policies: Sequence[Document], way: str, subject: Peer, other: Peer, port: int, protocol: str) -> bool:
    chosen = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == subject.namespace
        and way in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], subject.labels)
    ]
    peers = {"Egress": "to", "Ingress": "from"}[way]
    return not chosen or any(
        _port(rule, port, protocol) and (peers not in rule or any(_peer(one, subject, other) for one in rule[peers]))
        for policy in chosen
        for rule in policy["spec"].get(way.lower(), ())
    )


def _port(rule: Mapping[str, Any], port: int, protocol: str) -> bool:
    named = rule.get("ports")
    return not named or any(one.get("protocol", "TCP") == protocol and one.get("port") == port for one in named)


def _peer(one: Mapping[str, Any], subject: Peer, other: Peer) -> bool:
    if "ipBlock" in one:
        address = ipaddress.ip_address(other.address)
        return address in ipaddress.ip_network(one["ipBlock"]["cidr"]) and not any(
            address in ipaddress.ip_network(excepted) for excepted in one["ipBlock"].get("except", ())
        )
    if not other.namespace:
        return False
    if "namespaceSelector" in one:
        here = {"kubernetes.io/metadata.name": other.namespace, **other.namespace_labels}
        near = selects(one["namespaceSelector"], here)
    else:
        near = other.namespace == subject.namespace
    return near and selects(one.get("podSelector", {}), other.labels)
