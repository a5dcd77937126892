"""``switchyard graph check``: YAML in, problems and an exit status out."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from switchyard.cli import app
from switchyard.router.graph.manifest import ManifestError, reports

GOOD = """
apiVersion: serving.kserve.io/v1alpha1
kind: InferenceGraph
metadata: {name: chat}
spec:
  nodes:
    root: {routerType: Sequence, steps: [{serviceName: chat-fast}]}
"""
BAD = GOOD.replace("name: chat}", "name: Chat}").replace("Sequence", "Switch")
OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"


def test_graphs_are_found_among_other_documents() -> None:
    found = list(reports("\n---\n".join((OTHER, GOOD, "", BAD))))
    assert [(verdict.name, verdict.failed) for verdict in found] == [("chat", False), ("Chat", True)]
    assert found[0].problems == ()
    assert [problem.where for problem in found[1].problems] == ["graph", 'node "root", step 1', 'node "root"'][:2]


@pytest.mark.parametrize("kind", ["List", "InferenceGraphList"])
def test_graphs_are_found_in_a_list_as_kubectl_prints_it(kind: str) -> None:
    items = [yaml.safe_load(text) for text in (OTHER, GOOD)]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": kind, "items": [*items, {"kind": "List", "items": items[1:]}]})
    assert [(report.name, report.failed) for report in reports(text)] == [("chat", False)] * 2
    done = CliRunner().invoke(app, ["graph", "check", "-"], input=text)
    assert (done.exit_code, done.output) == (0, '-: graph "chat": fine (1 node)\n' * 2)


def test_whatever_else_is_in_the_file_is_no_matter() -> None:
    odd = ("kind: X\n", "[1]\n", "kind: List\nitems: 5\n", "kind: InferenceService\nmetadata: 5\n", "kind: List\n")
    done = CliRunner().invoke(app, ["graph", "check", "-"], input="\n---\n".join((*odd, GOOD)))
    assert (done.exit_code, done.output) == (0, '-: graph "chat": fine (1 node)\n')


@pytest.mark.parametrize(("text", "reason"), [("{", "it is not YAML"), (OTHER, "it holds no InferenceGraph")])
def test_a_text_without_graphs_is_rejected(text: str, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        list(reports(text))


def test_a_spec_that_is_too_long_for_a_process_is_an_error() -> None:
    document = yaml.safe_load(GOOD)
    document["spec"]["nodes"]["root"]["steps"][0]["name"] = "x" * 131072
    (verdict,) = reports(yaml.safe_dump(document))
    assert "more than a process argument can be" in str(verdict.problems[0])


def test_a_spec_of_wrong_types_is_told_like_any_other() -> None:
    (verdict,) = reports(GOOD.replace("[{serviceName: chat-fast}]", "5"))
    assert str(verdict.problems[0]) == 'error: node "root": steps is 5; it must be a list'


def test_the_command_prints_problems_and_fails_on_errors(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(GOOD)
    bad.write_text(BAD)
    fine = CliRunner().invoke(app, ["graph", "check", str(good)])
    assert (fine.exit_code, fine.output) == (0, f'{good}: graph "chat": fine (1 node)\n')
    broken = CliRunner().invoke(app, ["graph", "check", str(good), str(bad), str(tmp_path / "absent.yaml")])
    assert broken.exit_code == 1
    assert f'{bad}: graph "Chat": error: node "root", step 1: without a condition it is never chosen' in broken.output
    assert f"{tmp_path / 'absent.yaml'}: error: " in broken.output


def test_the_command_reads_standard_input_and_warnings_do_not_fail_it() -> None:
    text = GOOD.replace("{serviceName: chat-fast}", "{serviceName: chat-fast, weight: 3}")
    done = CliRunner().invoke(app, ["graph", "check", "-"], input=text)
    assert done.exit_code == 0
    assert (
        done.output == '-: graph "chat": warning: node "root", step 1: weight has no effect in a Sequence; remove it\n'
    )


def test_header_patterns_are_checked_on_demand() -> None:
    done = CliRunner().invoke(app, ["graph", "check", "-", "--propagate-headers", "a,*b"], input=GOOD)
    assert done.exit_code == 1
    assert done.output.startswith("error: PROPAGATE_HEADERS: ")


def test_the_graphs_of_a_whole_overlay_name_what_is_in_it(tmp_path: Path) -> None:
    step = "{serviceUrl: 'http://chat-fast-predictor.lab.svc.cluster.local'}"
    graph = GOOD.replace("name: chat}", "name: chat, namespace: lab}").replace("{serviceName: chat-fast}", step)
    model = "{modelFormat: {name: vllm}}"
    service = "kind: InferenceService\napiVersion: serving.kserve.io/v1beta1\nmetadata: {name: %s, namespace: lab}\n"
    for name, code in (("chat-fast", 0), ("chat-slow", 1)):
        file = tmp_path / f"{name}.yaml"
        file.write_text(f"{graph}\n---\n{service % name}spec: {{predictor: {{model: {model}}}}}\n")
        done = CliRunner().invoke(app, ["graph", "check", str(file)])
        assert done.exit_code == code
        assert ("and the overlay has no service chat-fast-predictor" in done.output) == bool(code)


def test_a_namespace_that_was_left_out_of_a_url_is_an_error() -> None:
    url = "{serviceUrl: 'http://chat-predictor.NAMESPACE.svc.cluster.local/v2/models/chat/infer'}"
    (verdict,) = reports(GOOD.replace("{serviceName: chat-fast}", url))
    assert "has capitals in a name of Kubernetes" in str(verdict.problems[0])
