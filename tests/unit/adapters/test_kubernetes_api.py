"""How a Kubernetes API is reached and what its answers mean, on an emulator."""

import base64
import json

import pytest

from greenops.adapters.kubernetes_api import Access, KubernetesApi, Refusal, find_access
from greenops.adapters.kubernetes_jobs import KubernetesJobs
from greenops.config import Settings
from greenops.domain.action import Action, Outcome, SetWeights, StartJob
from greenops.errors import AdapterUnavailable, AdapterUnsupported, UsageError
from greenops.testing.clock import START, FakeClock
from greenops.testing.kubernetes import FakeKubernetes
from greenops.testing.web_service import FakeWebService, Reply


def config(path, cluster=None, user=None, **more):
    document = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://k", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        **more,
    }
    path.write_text(json.dumps(document))
    return path


def data(text):
    return base64.b64encode(text.encode()).decode()


def test_files_beside_a_kubeconfig_are_named_from_its_folder(tmp_path):
    found = find_access(
        config(
            tmp_path / "config",
            {"certificate-authority": "ca.crt"},
            {"tokenFile": "token", "client-certificate": "me.crt", "client-key": "/k/me.key"},
        )
    )

    assert found.server == "https://k"
    assert (found.authority, found.token_file) == (tmp_path / "ca.crt", tmp_path / "token")
    assert found.certificate is not None
    assert [str(each) for each in found.certificate] == [str(tmp_path / "me.crt"), "/k/me.key"]


def test_what_a_kubeconfig_holds_itself_is_private_and_gone_afterwards(tmp_path):
    user = {"client-certificate-data": data("mine"), "client-key-data": data("secret")}
    found = find_access(
        config(tmp_path / "config", {"certificate-authority-data": data("theirs")}, user)
    )

    assert found.authority is not None
    assert found.certificate is not None
    files = [found.authority, *found.certificate]
    assert [each.read_text() for each in files] == ["theirs", "mine", "secret"]
    assert [each.stat().st_mode & 0o777 for each in files] == [0o600] * 3
    assert "secret" not in repr(found)
    assert found.files is not None
    found.files.remove()
    assert not files[0].exists()


@pytest.mark.parametrize(
    ("cluster", "user", "more", "why"),
    [
        ({}, {"exec": {"command": "aws"}}, {}, "`exec` is not supported"),
        ({"insecure-skip-tls-verify": True}, {}, {}, "`insecure-skip-tls-verify` is not"),
        ({"proxy-url": "http://p"}, {}, {}, "`proxy-url` is not supported"),
        ({"server": "http://far.example"}, {}, {}, "`http://far.example` is not https"),
        ({}, {"client-key-data": "%%"}, {}, "a `-data` is not base64"),
        ({}, {}, {"current-context": "there"}, "no `there` in `contexts`"),
        ({}, {}, {"clusters": 3}, "lacks its current context"),
        ({}, {}, {"users": []}, "no `u` in `users`"),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_one_line(tmp_path, cluster, user, more, why):
    path = config(tmp_path / "config", cluster, user, **more)

    with pytest.raises(AdapterUnavailable, match="GO0670") as told:
        find_access(path)

    assert why in str(told.value)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("content", [b"", b"- a", b"a: [", b"\xff\xfe\x00", b'"text"'])
def test_a_file_that_is_no_kubeconfig_is_one_line(tmp_path, content):
    (tmp_path / "config").write_bytes(content)

    with pytest.raises(AdapterUnavailable, match="GO0670"):
        find_access(tmp_path / "config")


def test_a_pod_is_known_by_its_surroundings(tmp_path):
    (tmp_path / "token").write_text("t")
    there = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}

    found = find_access(None, there, tmp_path)

    assert found.server == "https://[fd00::1]:6443"
    assert (found.authority, found.token_file) == (tmp_path / "ca.crt", tmp_path / "token")
    with pytest.raises(AdapterUnavailable, match="no service account's token"):
        find_access(None, there, tmp_path / "other")
    with pytest.raises(AdapterUnavailable, match="no kubeconfig is named"):
        find_access(None, {}, tmp_path)


@pytest.mark.network
def test_a_token_that_was_renewed_is_the_one_that_is_sent(tmp_path):
    token = tmp_path / "token"
    with FakeKubernetes() as cluster:
        api = KubernetesApi(Access(cluster.url, token_file=token))
        for each in ("first\n", "second\n"):
            token.write_text(each)
            api.get("/apis/batch/v1/namespaces/batch/jobs")

        assert cluster.tokens == ["Bearer first", "Bearer second"]
        token.unlink()
        with pytest.raises(AdapterUnavailable, match="GO0670"):
            api.get("/apis/batch/v1/namespaces/batch/jobs")


@pytest.mark.network
@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply({"message": "no"}, 401), AdapterUnavailable, "GO0672"),
        (Reply({"message": "no"}, 403), AdapterUnsupported, "GO0673"),
        (Reply({"message": "slow"}, 429, {"Retry-After": "7"}), AdapterUnavailable, "GO0671"),
        (Reply({"message": "down"}, 503), AdapterUnavailable, "GO0671"),
        (Reply({}, 302, {"Location": "http://elsewhere/"}), AdapterUnavailable, "GO0671"),
        (Reply("<html>", 200), AdapterUnavailable, "GO0671"),
        (Reply("", 502), AdapterUnavailable, "GO0671"),
    ],
)
def test_a_refusal_is_later_or_never(reply, kind, code):
    with FakeWebService(lambda _request: reply) as server:
        with pytest.raises(kind, match=code) as told:
            KubernetesApi(Access(server.url)).get("/x")

        assert getattr(told.value, "retry_after_s", None) == (7 if reply.status == 429 else None)
        assert len(server.asked) == 1


@pytest.mark.network
def test_what_is_not_there_is_none_and_a_change_of_it_is_refused():
    with FakeKubernetes() as cluster:
        api = KubernetesApi(Access(cluster.url))

        assert api.get(cluster.path("lost")) is None
        assert isinstance(api.patch(cluster.path("lost"), []), Refusal)


# -- the target, where no server has to be real


@pytest.fixture
def cluster():
    with FakeKubernetes() as made:
        yield made


@pytest.fixture
def jobs(cluster):
    settings = Settings(kubernetes_namespaces="batch, reports")
    return KubernetesJobs(settings, FakeClock(), lambda _: KubernetesApi(Access(cluster.url)))


def order(key, name="1", start=START):
    change = StartJob(key, start, START.replace(hour=20))
    return Action(f"act-{name}", "kubernetes-jobs", change, f"d-{name}", START.replace(hour=21))


@pytest.mark.parametrize("text", ["a/../b", "Batch", "-a", "a" * 64, "a b"])
def test_what_is_no_namespace_is_told_at_the_start(text):
    with pytest.raises(UsageError, match="GO0677"):
        KubernetesJobs(Settings(kubernetes_namespaces=text), FakeClock())


@pytest.mark.network
@pytest.mark.parametrize("key", ["nightly/2021-10-08", "nightly", "a/b/c/short", ""])
def test_a_key_of_another_run_is_none_of_a_job(jobs, key):
    with pytest.raises(AdapterUnsupported, match="is no run of a Job"):
        jobs.observe(key)


@pytest.mark.network
def test_a_job_is_no_route(jobs):
    with pytest.raises(AdapterUnsupported, match="cannot set weights"):
        jobs.plan(SetWeights("search", {"de": 100}))


@pytest.mark.network
def test_jobs_of_every_namespace_of_the_settings_are_seen(cluster, jobs):
    for name, where in (("a", "batch"), ("b", "reports"), ("c", "elsewhere")):
        cluster.create(name, namespace=where)

    assert [(each.namespace, each.name) for each in jobs.jobs()] == [
        ("batch", "a"),
        ("reports", "b"),
    ]


@pytest.mark.network
def test_whoever_changes_a_job_in_between_is_seen_and_the_patch_is_made_on_what_is_there(
    cluster, jobs
):
    job = cluster.create("report")
    meddled = []

    def meddle(method, _path):
        if method == "PATCH" and len(meddled) < 2:
            meddled.append(method)
            job["metadata"].setdefault("annotations", {})["someone"] = str(len(meddled))
            cluster.touch(job)

    cluster.before = meddle
    made = jobs.apply(order(cluster.key("report")))

    assert made.outcome is Outcome.APPLIED
    assert job["metadata"]["annotations"]["someone"] == "2"
    assert len(cluster.patched) == 1


@pytest.mark.network
def test_a_job_that_changes_all_the_time_is_left_as_it_is(cluster, jobs):
    job = cluster.create("report")
    cluster.before = lambda method, _path: cluster.touch(job) if method == "PATCH" else None

    made = jobs.apply(order(cluster.key("report")))

    assert (made.outcome, job["spec"]["suspend"]) == (Outcome.CONFLICT, True)


@pytest.mark.network
def test_a_rollback_lets_a_job_run_that_had_no_order_before_and_none_that_runs(cluster, jobs):
    for name in ("a", "b"):
        cluster.create(name)
        jobs.apply(order(cluster.key(name), name, START.replace(hour=12)))
    cluster.objects["batch", "b"]["spec"]["suspend"] = False

    assert jobs.rollback("d-a").detail == "released"
    assert cluster.objects["batch", "a"]["spec"]["suspend"] is False
    assert jobs.rollback("d-b").outcome is Outcome.REFUSED
    with pytest.raises(AdapterUnsupported, match="GO0607"):
        jobs.rollback("d-c")


@pytest.mark.network
def test_a_latest_safe_start_that_was_promised_never_moves_later(cluster, jobs):
    cluster.create("report")
    key = cluster.key("report")
    jobs.apply(order(key, "1", START.replace(hour=12)))
    later = StartJob(key, START.replace(hour=14), START.replace(hour=23))
    jobs.apply(Action("act-2", "kubernetes-jobs", later, "d-2", START.replace(hour=21)))

    change = jobs.observe(key).change

    assert (change.start_at.hour, change.latest_safe_start.hour) == (14, 20)


@pytest.mark.network
def test_the_journal_on_a_job_stays_short(cluster, jobs):
    job = cluster.create("report")
    for minute in range(40):
        jobs.apply(order(cluster.key("report"), str(minute), START.replace(hour=12, minute=minute)))

    assert len(json.loads(job["metadata"]["annotations"]["greenops.dev/journal"])["entries"]) == 12
    assert sum(map(len, job["metadata"]["annotations"].values())) < 16_384
    again = order(cluster.key("report"), "39", START.replace(hour=12, minute=39))
    assert jobs.apply(again).outcome is Outcome.APPLIED
    assert len(cluster.patched) == 40


@pytest.mark.network
def test_a_run_is_verified_once_it_shows(cluster, jobs):
    cluster.create("report")
    action = order(cluster.key("report"), "1", START.replace(hour=12))

    assert not jobs.verify(action, START - START)
    jobs.apply(action)
    assert jobs.verify(action, START - START)
