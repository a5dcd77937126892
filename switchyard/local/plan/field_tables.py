"""Every field of rendered documents that local mode honours, or ignores with a reason.

A path names map keys by ``.``, list items by ``[]``, any key by ``*`` and everything below by ``**``; a key with dots
or slashes stands in ``["…"]``. A field in neither list stops ``switchyard up``, so that local and cluster cannot part
silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A field path; ``note`` says what an honored field does here, or why another is ignored."""

    path: str
    honored: bool
    note: str


def _yes(path: str, note: str) -> Field:
    return Field(path, True, note)


def _no(path: str, note: str) -> Field:
    return Field(path, False, note)


_ISOLATION = "processes of this machine share its user, network and kernel"
_PLACEMENT = "there is one machine, so nothing is placed"
_PROBE = "readiness is asked for every 50 ms until the progress deadline; a process that exits is restarted"
_MESH = "there is no cluster network"
_LOOPBACK = "clients reach a process at the port that its command names, on loopback"
_ONE = "local mode runs at most one process per service"
_OTHERS = "read by other programs"

_METADATA = (
    _yes("apiVersion", "names the document's type"),
    _yes("kind", "names the document's type"),
    _yes("metadata.name", "the name of the process, its log and its catalog entry"),
    _yes("metadata.namespace", "finds the ConfigMaps, Secrets and runtimes that the document refers to"),
    _yes("metadata.labels.*", "fill {{.Labels.x}} in runtimes; switchyard.dev/kind is the catalog's kind"),
    _no("metadata.annotations.*", _OTHERS),
    _no("metadata.creationTimestamp", "set by the cluster"),
)

_SCALING = (
    ("autoscaling.knative.dev/window", True, "idle time: the stable window, 60 s if absent"),
    ("autoscaling.knative.dev/scale-down-delay", True, "added to the idle time"),
    ("autoscaling.knative.dev/scale-to-zero-pod-retention-period", True, "added to the idle time"),
    ("serving.knative.dev/progress-deadline", True, "how long a start may take, 600 s if absent"),
    ("serving.kserve.io/stop", True, '"true": listed, not served'),
    ("autoscaling.knative.dev/initial-scale", False, "a service with minReplicas 0 starts asleep"),
    ("autoscaling.knative.dev/activation-scale", False, _ONE),
    ("autoscaling.knative.dev/class", False, _ONE),
    ("autoscaling.knative.dev/metric", False, _ONE),
    ("autoscaling.knative.dev/target", False, _ONE),
    ("autoscaling.knative.dev/target-utilization-percentage", False, _ONE),
    ("autoscaling.knative.dev/panic-window-percentage", False, _ONE),
    ("autoscaling.knative.dev/panic-threshold-percentage", False, _ONE),
    ("autoscaling.knative.dev/metric-aggregation-algorithm", False, _ONE),
    ("autoscaling.knative.dev/target-burst-capacity", False, "the activator is always in the request path, as with -1"),
    ("serving.knative.dev/rollout-duration", False, "there is one version of a service at a time"),
    ("serving.kserve.io/deploymentMode", False, "local mode behaves as Knative does"),
    ("serving.kserve.io/autoscalerClass", False, _ONE),
    ("serving.kserve.io/enable-tag-routing", False, _MESH),
    ("serving.kserve.io/enable-prometheus-scraping", False, "scrape the process itself"),
    ("queue.sidecar.serving.knative.dev/*", False, "there is no sidecar"),
    ("features.knative.dev/*", False, _MESH),
    ("prometheus.kserve.io/*", False, "scrape the process itself"),
)


def _annotations(path: str) -> tuple[Field, ...]:
    return tuple(Field(f'{path}["{key}"]', honored, note) for key, honored, note in _SCALING)


def _probe(path: str) -> tuple[Field, ...]:
    return (
        _yes(f"{path}.httpGet.path", "200 from here means ready"),
        _yes(f"{path}.httpGet.port", "must be the HTTP port"),
        *(
            _no(f"{path}.{name}", _PROBE)
            for name in (
                "httpGet.scheme",
                "initialDelaySeconds",
                "periodSeconds",
                "timeoutSeconds",
                "successThreshold",
                "failureThreshold",
            )
        ),
    )


def _container(path: str) -> tuple[Field, ...]:
    """The fields of a container at ``path``."""
    return (
        _yes(f"{path}.name", "joins a service's container to its runtime's; names the log of one that is not asked"),
        _yes(f"{path}.command[]", "the program; python is the interpreter that runs switchyard"),
        _yes(f"{path}.args[]", "with mount paths, ports and hosts of this machine"),
        _yes(f"{path}.env[].name", "a variable; the service's own wins over its runtime's"),
        _yes(f"{path}.env[].value", "with mount paths of this machine"),
        _yes(f"{path}.env[].valueFrom.configMapKeyRef.*", "from the rendered ConfigMap"),
        _yes(f"{path}.env[].valueFrom.secretKeyRef.*", "from the rendered Secret"),
        _yes(f"{path}.envFrom[].configMapRef.*", "from the rendered ConfigMap"),
        _yes(f"{path}.envFrom[].secretRef.*", "from the rendered Secret"),
        _yes(f"{path}.envFrom[].prefix", "put before each name"),
        _yes(f"{path}.ports[].containerPort", "resolves a probe's port; of several containers, this one is asked"),
        _yes(f"{path}.ports[].name", "resolves the name of a probe's port"),
        _no(f"{path}.ports[].protocol", "TCP"),
        _no(f"{path}.workingDir", "processes start in the project's folder"),
        _yes(f"{path}.volumeMounts[].name", "a folder of this machine stands for the volume"),
        _yes(f"{path}.volumeMounts[].mountPath", "replaced by that folder in args and variables"),
        _yes(f"{path}.volumeMounts[].subPath", "below that folder"),
        _no(f"{path}.volumeMounts[].readOnly", _ISOLATION),
        *_probe(f"{path}.readinessProbe"),
        *_probe(f"{path}.startupProbe"),
        _no(f"{path}.livenessProbe.**", _PROBE),
        _no(f"{path}.image", "the command runs from this machine's environment"),
        _no(f"{path}.imagePullPolicy", "there is no image"),
        _no(f"{path}.resources.**", "processes share the machine; the system decides"),
        _no(f"{path}.securityContext.**", _ISOLATION),
        _no(f"{path}.terminationMessagePolicy", "the log says it"),
        _no(f"{path}.terminationMessagePath", "the log says it"),
        _no(f"{path}.lifecycle.**", "SIGTERM is what stops a process here"),
    )


def _pod(path: str) -> tuple[Field, ...]:
    """The fields of a pod at ``path`` besides its containers."""
    return (
        _yes(f"{path}.volumes[].name", "what volumeMounts name"),
        _yes(f"{path}.volumes[].configMap.**", "written to a folder of the run directory"),
        _yes(f"{path}.volumes[].secret.**", "written to a folder of the run directory"),
        _yes(f"{path}.volumes[].persistentVolumeClaim.claimName", "model-repository, or a folder of the run directory"),
        _no(f"{path}.volumes[].persistentVolumeClaim.readOnly", _ISOLATION),
        _yes(f"{path}.volumes[].emptyDir", "a folder of the run directory"),
        _no(f"{path}.volumes[].emptyDir.**", "a folder of the run directory, without a limit"),
        _yes(f"{path}.terminationGracePeriodSeconds", "a Deployment's time between SIGTERM and SIGKILL"),
        *(
            _no(f"{path}.{name}", _ISOLATION)
            for name in (
                "serviceAccountName",
                "automountServiceAccountToken",
                "securityContext.**",
                "hostNetwork",
                "runtimeClassName",
                "imagePullSecrets[].name",
                "enableServiceLinks",
                "restartPolicy",
                "dnsPolicy",
            )
        ),
        *(
            _no(f"{path}.{name}", _PLACEMENT)
            for name in (
                "nodeSelector.**",
                "affinity.**",
                "tolerations[].**",
                "topologySpreadConstraints[].**",
                "priorityClassName",
                "schedulerName",
            )
        ),
    )


_SERVICE = (
    *_METADATA,
    *_annotations("metadata.annotations"),
    _yes('metadata.annotations["switchyard.dev/context-length"]', "the catalog's context length, in tokens"),
    _yes('metadata.annotations["switchyard.dev/chat-inputs"]', "whether a chat may hold pictures, in the catalog"),
    *_annotations("spec.predictor.annotations"),
    _no("spec.predictor.annotations.*", _OTHERS),
    _no("spec.predictor.labels.*", "there is no pod to label"),
    _yes("spec.predictor.minReplicas", "0: starts at the first request, stops when idle; absent or more: always runs"),
    _no("spec.predictor.maxReplicas", _ONE),
    _no("spec.predictor.scaleTarget", _ONE),
    _no("spec.predictor.scaleMetric", _ONE),
    _no("spec.predictor.scaleMetricType", _ONE),
    _no("spec.predictor.autoScaling.**", _ONE),
    _no("spec.predictor.canaryTrafficPercent", "there is one version of a service at a time"),
    _no("spec.predictor.deploymentStrategy.**", "there is one version of a service at a time"),
    _yes("spec.predictor.containerConcurrency", "hard limit of requests at once; more wait in order of arrival"),
    _yes("spec.predictor.timeout", "seconds until the first byte of an answer, and the grace after SIGTERM"),
    _yes("spec.predictor.model.modelFormat.name", "selects a runtime; triton: the folder holds several models"),
    _no("spec.predictor.model.modelFormat.version", "runtimes are selected by name"),
    _yes("spec.predictor.model.runtime", "the ServingRuntime or ClusterServingRuntime"),
    _no("spec.predictor.model.runtimeVersion", "there is no image"),
    _no("spec.predictor.model.protocolVersion", "the runtime's process answers what it answers"),
    _yes("spec.predictor.model.storageUri", "pvc://model-repository/<path> is model-repository/<path>, at /mnt/models"),
    *_container("spec.predictor.model"),
    *_container("spec.predictor.containers[]"),
    *_pod("spec.predictor"),
)

_GRAPH = (
    *_METADATA,
    *_annotations("metadata.annotations"),
    _yes('metadata.annotations["switchyard.dev/context-length"]', "the catalog's context length, in tokens"),
    _yes("spec.nodes.**", "the router's, with this machine's addresses for the cluster's names in URLs"),
    _yes("spec.minReplicas", "0: starts at the first request, stops when idle; absent or more: always runs"),
    _no("spec.maxReplicas", _ONE),
    _no("spec.scaleMetric", _ONE),
    _no("spec.scaleTarget", _ONE),
    _yes("spec.timeout", "seconds until the first byte of an answer, and the grace after SIGTERM"),
    _yes("spec.routerTimeouts.**", "the router's"),
    _no("spec.resources.**", "processes share the machine; the system decides"),
    _no("spec.serviceAccountName", _ISOLATION),
    *(_no(f"spec.{name}", _PLACEMENT) for name in ("affinity.**", "nodeSelector.**", "nodeName", "tolerations[].**")),
)

_RUNTIME = (
    *_METADATA,
    _no('metadata.annotations["serving.kserve.io/server-type"]', "there is no image to choose"),
    _yes("spec.supportedModelFormats[].name", "what modelFormat names"),
    _yes("spec.supportedModelFormats[].autoSelect", "may be selected without being named"),
    _yes("spec.supportedModelFormats[].priority", "the highest wins"),
    _no("spec.supportedModelFormats[].version", "runtimes are selected by name"),
    _yes("spec.disabled", "true: not used"),
    _no("spec.protocolVersions[]", "the runtime's process answers what it answers"),
    _no("spec.multiModel", "one process serves one service"),
    _no("spec.annotations.*", "there is no pod to annotate"),
    _no('spec.annotations["prometheus.kserve.io/port"]', "scrape the process itself"),
    _no('spec.annotations["prometheus.kserve.io/path"]', "scrape the process itself"),
    _no("spec.labels.*", "there is no pod to label"),
    *_container("spec.containers[]"),
    *_pod("spec"),
)

_DEPLOYMENT = (
    *_METADATA,
    _yes("spec.replicas", "0: not started; more: one process"),
    *(
        _no(f"spec.{name}", "there is one process, and it is restarted")
        for name in (
            "selector.**",
            "strategy.**",
            "revisionHistoryLimit",
            "minReadySeconds",
            "progressDeadlineSeconds",
            "template.metadata.**",
        )
    ),
    *_container("spec.template.spec.containers[]"),
    *_pod("spec.template.spec"),
)

_DATA = (
    *_METADATA,
    _yes("data.*", "variables and files of the containers that refer to it"),
    _yes("stringData.*", "variables and files of the containers that refer to it"),
    _no("type", "kinds of Secret differ in a cluster only"),
    _no("immutable", "the overlay is rendered once per start"),
)


def _unused(reason: str) -> tuple[Field, ...]:
    return (_no("**", reason),)


TABLES: Mapping[str, tuple[Field, ...]] = {
    "InferenceService": _SERVICE,
    "InferenceGraph": _GRAPH,
    "ServingRuntime": _RUNTIME,
    "ClusterServingRuntime": _RUNTIME,
    "Deployment": _DEPLOYMENT,
    "ConfigMap": _DATA,
    "Secret": _DATA,
    "Namespace": _unused("names are unique within one overlay"),
    "Service": _unused(_LOOPBACK),
    "ServiceAccount": _unused(_ISOLATION),
    "Role": _unused("there is no API server"),
    "RoleBinding": _unused("there is no API server"),
    "ClusterRole": _unused("there is no API server"),
    "ClusterRoleBinding": _unused("there is no API server"),
    "NetworkPolicy": _unused("everything binds loopback"),
    "PodDisruptionBudget": _unused(_PLACEMENT),
    "PriorityClass": _unused(_PLACEMENT),
    "HorizontalPodAutoscaler": _unused("there is one process per Deployment"),
    "StatefulSet": _unused("one machine keeps its state in files"),
    "LimitRange": _unused("processes share the machine; the system decides"),
    "ResourceQuota": _unused("processes share the machine; the system decides"),
    "Ingress": _unused(_LOOPBACK),
    "Gateway": _unused(_LOOPBACK),
    "HTTPRoute": _unused(_LOOPBACK),
    "GRPCRoute": _unused(_LOOPBACK),
    "LocalModelCache": _unused("models are folders of this machine"),
    "LocalModelNodeGroup": _unused("models are folders of this machine"),
    "PersistentVolume": _unused("claims are folders of this machine"),
    "PersistentVolumeClaim": _unused("claims are folders of this machine"),
}
