import jax
import pytest

from jaxgan.training import jax_setup


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """The updates of JAX's config, with a cache of one's own."""
    updates = {}
    monkeypatch.setattr(jax.config, "update", updates.__setitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    return updates


def test_compiled_programs_are_cached(asked, tmp_path):
    jax_setup.configure_jax("float32", str(tmp_path / "runs" / "one"))
    assert asked["jax_compilation_cache_dir"] == str(tmp_path / "jaxgan" / "compiled")
    assert (tmp_path / "jaxgan" / "compiled").is_dir()


def test_several_processes_cache_beside_the_run(asked, monkeypatch, tmp_path):
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(jax_setup.distributed, "all_max", lambda number: number)
    jax_setup.configure_jax("float32", str(tmp_path / "runs" / "one"))
    assert asked["jax_compilation_cache_dir"] == str(tmp_path / "runs" / ".compiled")
    # A command that reads a run changes nothing in its folder's neighbourhood.
    jax_setup.configure_jax("float32")
    assert asked["jax_compilation_cache_dir"] == str(tmp_path / "jaxgan" / "compiled")


@pytest.mark.parametrize("folder", ["elsewhere", ""])
def test_the_users_own_cache_folder_comes_first(asked, monkeypatch, tmp_path, folder):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", folder)
    jax_setup.enable_compilation_cache(str(tmp_path / "compiled"))
    assert not asked
    assert not list(tmp_path.iterdir())


def test_without_a_writable_folder_nothing_is_cached(asked, tmp_path):
    (tmp_path / "jaxgan").write_text("a file")
    jax_setup.enable_compilation_cache(str(tmp_path / "jaxgan" / "compiled"))
    assert not asked
