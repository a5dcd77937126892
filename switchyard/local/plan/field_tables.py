"""Every field of rendered documents that local mode honors, or ignores with a reason.

A path separates map keys by ``.``; ``[]`` is any list item, ``*`` any key and ``**`` everything below. A key with dots
or slashes is written as ``["…"]``. A field in neither list stops ``switchyard up``, so that local mode and clusters
cannot diverge silently.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A field path; ``note`` says what an honored field does, or why another one is ignored."""

    path: str
    honored: bool
    note: str


def _honored(path: str, note: str) -> Field:
    return Field(path, True, note)


def _ignored(path: str, note: str) -> Field:
    return Field(path, False, note)


_ISOLATION = "processes of this machine share its user, network and kernel"
_PLACEMENT = "there is one machine, so nothing is placed"
_PROBE = "readiness is probed every 50 ms until the progress deadline; a process that exits is restarted"
_MESH = "there is no cluster network"
_LOOPBACK = "clients reach a process at the port that its command names, on loopback"
_ONE = "local mode runs at most one process per service"
_OTHERS = "read by other programs"
_SHARED = "processes share the machine; the system decides"

_METADATA = (
    _honored("apiVersion", "names the document's type"),
    _honored("kind", "names the document's type"),
    _honored("metadata.name", "the name of the process, its log and its catalog entry"),
    _honored("metadata.namespace", "finds the ConfigMaps, Secrets and runtimes that the document refers to"),
    _honored("metadata.labels.*", "fill {{.Labels.x}} in runtimes; switchyard.dev/kind is the catalog's kind"),
    _ignored("metadata.annotations.*", _OTHERS),
    _ignored("metadata.creationTimestamp", "set by the cluster"),
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
        _honored(f"{path}.httpGet.path", "200 from here means ready"),
        _honored(f"{path}.httpGet.port", "must be the HTTP port"),
        *(
            _ignored(f"{path}.{name}", _PROBE)
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
    """List the fields of a container at ``path``."""
    return (
        _honored(f"{path}.name", "joins a service's container to its runtime's; names the log of a sidecar"),
        _honored(f"{path}.command[]", "the program; python is the interpreter that runs switchyard"),
        _honored(f"{path}.args[]", "with mount paths, ports and hosts of this machine"),
        _honored(f"{path}.env[].name", "a variable; the service's own wins over its runtime's"),
        _honored(f"{path}.env[].value", "with mount paths of this machine"),
        _honored(f"{path}.env[].valueFrom.configMapKeyRef.*", "from the rendered ConfigMap"),
        _honored(f"{path}.env[].valueFrom.secretKeyRef.*", "from the rendered Secret"),
        _honored(f"{path}.envFrom[].configMapRef.*", "from the rendered ConfigMap"),
        _honored(f"{path}.envFrom[].secretRef.*", "from the rendered Secret"),
        _honored(f"{path}.envFrom[].prefix", "put before each name"),
        _honored(
            f"{path}.ports[].containerPort", "resolves a probe's port; of several containers, this one takes requests"
        ),
        _honored(f"{path}.ports[].name", "resolves the name of a probe's port"),
        _ignored(f"{path}.ports[].protocol", "TCP"),
        _ignored(f"{path}.workingDir", "processes start in the project's folder"),
        _honored(f"{path}.volumeMounts[].name", "the volume is a folder of this machine"),
        _honored(f"{path}.volumeMounts[].mountPath", "replaced by that folder in args and variables"),
        _honored(f"{path}.volumeMounts[].subPath", "below that folder"),
        _ignored(f"{path}.volumeMounts[].readOnly", _ISOLATION),
        *_probe(f"{path}.readinessProbe"),
        *_probe(f"{path}.startupProbe"),
        _ignored(f"{path}.livenessProbe.**", _PROBE),
        _ignored(f"{path}.image", "the command runs from this machine's environment"),
        _ignored(f"{path}.imagePullPolicy", "there is no image"),
        _ignored(f"{path}.resources.**", _SHARED),
        _ignored(f"{path}.securityContext.**", _ISOLATION),
        _ignored(f"{path}.terminationMessagePolicy", "the log says it"),
        _ignored(f"{path}.terminationMessagePath", "the log says it"),
        _ignored(f"{path}.lifecycle.**", "SIGTERM is what stops a process here"),
    )


def _pod(path: str) -> tuple[Field, ...]:
    """List the fields of a pod at ``path`` besides its containers."""
    return (
        _honored(f"{path}.volumes[].name", "what volumeMounts name"),
        _honored(f"{path}.volumes[].configMap.**", "written to a folder of the run directory"),
        _honored(f"{path}.volumes[].secret.**", "written to a folder of the run directory"),
        _honored(
            f"{path}.volumes[].persistentVolumeClaim.claimName", "model-repository, or a folder of the run directory"
        ),
        _ignored(f"{path}.volumes[].persistentVolumeClaim.readOnly", _ISOLATION),
        _honored(f"{path}.volumes[].emptyDir", "a folder of the run directory"),
        _ignored(f"{path}.volumes[].emptyDir.**", "a folder of the run directory, without a limit"),
        _honored(f"{path}.terminationGracePeriodSeconds", "a Deployment's time between SIGTERM and SIGKILL"),
        *(
            _ignored(f"{path}.{name}", _ISOLATION)
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
            _ignored(f"{path}.{name}", _PLACEMENT)
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
    _honored('metadata.annotations["switchyard.dev/context-length"]', "the catalog's context length, in tokens"),
    _honored('metadata.annotations["switchyard.dev/chat-inputs"]', "whether a chat may hold images, in the catalog"),
    _honored(
        'metadata.annotations["switchyard.dev/pinned"]', '"true": it is not unloaded by clients, nor to make room'
    ),
    *_annotations("spec.predictor.annotations"),
    _ignored("spec.predictor.annotations.*", _OTHERS),
    _ignored("spec.predictor.labels.*", "there is no pod to label"),
    _honored(
        "spec.predictor.minReplicas", "0: starts at the first request, stops when idle; absent or more: always runs"
    ),
    _ignored("spec.predictor.maxReplicas", _ONE),
    _ignored("spec.predictor.scaleTarget", _ONE),
    _ignored("spec.predictor.scaleMetric", _ONE),
    _ignored("spec.predictor.scaleMetricType", _ONE),
    _ignored("spec.predictor.autoScaling.**", _ONE),
    _ignored("spec.predictor.canaryTrafficPercent", "there is one version of a service at a time"),
    _ignored("spec.predictor.deploymentStrategy.**", "there is one version of a service at a time"),
    _honored("spec.predictor.containerConcurrency", "hard limit of concurrent requests; more wait in order of arrival"),
    _honored("spec.predictor.timeout", "seconds until the first byte of a response, and the grace after SIGTERM"),
    _honored("spec.predictor.model.modelFormat.name", "selects a runtime; triton: the folder holds several models"),
    _honored("spec.predictor.model.modelFormat.version", "one that the named runtime must list, as in KServe"),
    _honored("spec.predictor.model.runtime", "the ServingRuntime or ClusterServingRuntime"),
    _ignored("spec.predictor.model.runtimeVersion", "there is no image"),
    _honored("spec.predictor.model.protocolVersion", "one that the named runtime must list, as in KServe"),
    _honored(
        "spec.predictor.model.storageUri", "pvc://model-repository/<path> is model-repository/<path>, at /mnt/models"
    ),
    *_container("spec.predictor.model"),
    *_container("spec.predictor.containers[]"),
    *_pod("spec.predictor"),
)

_GRAPH = (
    *_METADATA,
    *_annotations("metadata.annotations"),
    _honored('metadata.annotations["switchyard.dev/context-length"]', "the catalog's context length, in tokens"),
    _honored("spec.nodes.**", "the router's, with this machine's addresses for the cluster's names in URLs"),
    _honored("spec.minReplicas", "0: starts at the first request, stops when idle; absent or more: always runs"),
    _ignored("spec.maxReplicas", _ONE),
    _ignored("spec.scaleMetric", _ONE),
    _ignored("spec.scaleTarget", _ONE),
    _honored("spec.timeout", "seconds until the first byte of a response, and the grace after SIGTERM"),
    _honored("spec.routerTimeouts.**", "the router's"),
    _ignored("spec.resources.**", _SHARED),
    _ignored("spec.serviceAccountName", _ISOLATION),
    *(
        _ignored(f"spec.{name}", _PLACEMENT)
        for name in ("affinity.**", "nodeSelector.**", "nodeName", "tolerations[].**")
    ),
)

_RUNTIME = (
    *_METADATA,
    _ignored('metadata.annotations["serving.kserve.io/server-type"]', "there is no image to choose"),
    _honored("spec.supportedModelFormats[].name", "what modelFormat must name"),
    _honored("spec.supportedModelFormats[].autoSelect", "may be selected without being named"),
    _honored("spec.supportedModelFormats[].priority", "the highest wins"),
    _honored("spec.supportedModelFormats[].version", "what modelFormat.version must be, if it is given"),
    _honored("spec.disabled", "true: not used"),
    _honored("spec.protocolVersions[]", "what protocolVersion must be one of, if it is given"),
    _ignored("spec.multiModel", "one process serves one service"),
    _ignored("spec.annotations.*", "there is no pod to annotate"),
    _ignored('spec.annotations["prometheus.kserve.io/port"]', "scrape the process itself"),
    _ignored('spec.annotations["prometheus.kserve.io/path"]', "scrape the process itself"),
    _ignored("spec.labels.*", "there is no pod to label"),
    *_container("spec.containers[]"),
    *_pod("spec"),
)

_DEPLOYMENT = (
    *_METADATA,
    _honored("spec.replicas", "0: not started; more: one process"),
    *(
        _ignored(f"spec.{name}", "there is one process, and it is restarted")
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
    _honored("data.*", "variables and files of the containers that refer to it"),
    _honored("stringData.*", "variables and files of the containers that refer to it"),
    _ignored("type", "kinds of Secret differ in a cluster only"),
    _ignored("immutable", "the overlay is rendered once per start"),
)


_UNUSED = {
    "names are unique within one overlay": ("Namespace",),
    _LOOPBACK: ("Service", "Ingress", "Gateway", "HTTPRoute", "GRPCRoute"),
    _ISOLATION: ("ServiceAccount",),
    "there is no API server": ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    "everything binds loopback": ("NetworkPolicy",),
    _PLACEMENT: ("PodDisruptionBudget", "PriorityClass"),
    "there is one process per Deployment": ("HorizontalPodAutoscaler",),
    "one machine keeps its state in files": ("StatefulSet",),
    _SHARED: ("LimitRange", "ResourceQuota"),
    "models are folders of this machine": ("LocalModelCache", "LocalModelNodeGroup"),
    "read by operators of a cluster": ("PodMonitor", "ServiceMonitor", "PrometheusRule", "GrafanaDashboard"),
    "claims are folders of this machine": ("PersistentVolume", "PersistentVolumeClaim"),
}

TABLES: Mapping[str, tuple[Field, ...]] = {
    "InferenceService": _SERVICE,
    "InferenceGraph": _GRAPH,
    "ServingRuntime": _RUNTIME,
    "ClusterServingRuntime": _RUNTIME,
    "Deployment": _DEPLOYMENT,
    "ConfigMap": _DATA,
    "Secret": _DATA,
    **{kind: (_ignored("**", reason),) for reason, kinds in _UNUSED.items() for kind in kinds},
}
