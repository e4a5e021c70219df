import errno
import os
import pathlib
import random
import shutil
import subprocess
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import PATIENCE, tiny_config

from jaxgan.common.errors import UserError
from jaxgan.training import checkpoint
from jaxgan.training.checkpoint import Checkpoints, _flatten, digest

TREE = {"a": jnp.arange(6.0).reshape(2, 3), "b": {"c": jnp.ones((), jnp.int32)}}
LIKE = jax.eval_shape(lambda: TREE)


def tree_at(step):
    return jax.tree.map(lambda x: x + step, TREE)


def saved(folder, steps, kept=3):
    checkpoints = Checkpoints(str(folder), kept)
    for step in steps:
        checkpoints.save(step, tree_at(step))
    checkpoints.close()


def equal(a, b):
    return jax.tree.all(jax.tree.map(lambda x, y: bool(np.array_equal(x, y)), a, b))


def data_files(folder, step):
    root = folder / str(step)
    # In the order of their names, which is no file system's.
    return sorted(
        os.path.join(where, name)
        for where, _, names in os.walk(root)
        for name in names
        if os.path.getsize(os.path.join(where, name)) > 0
    )


def test_restores_what_was_saved(tmp_path):
    saved(tmp_path, [10, 20])
    step, tree = Checkpoints(str(tmp_path), 3).restore(LIKE)
    assert step == 20
    assert equal(tree, tree_at(20))
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(tree))


def test_keeps_only_the_newest(tmp_path):
    saved(tmp_path, [1, 2, 3, 4], kept=2)
    assert Checkpoints(str(tmp_path), 2).steps() == [4, 3]


def test_restores_none_from_an_empty_folder(tmp_path):
    assert Checkpoints(str(tmp_path / "none"), 2).restore(LIKE) is None
    assert not (tmp_path / "none").exists()


def test_saves_a_copy_of_the_arrays():
    """The arrays may be given to the next step while they are still being written."""
    state = jnp.zeros(1000)
    assert np.shares_memory(np.asarray(state), np.asarray(state))
    assert not np.shares_memory(_flatten({"x": state})["x"], np.asarray(state))


@pytest.mark.parametrize("name", ["a[1]", "back\\slash", "latin\udce9"])
def test_a_path_that_orbax_cannot_read_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="checkpoints cannot be read under a path with"):
        Checkpoints(str(tmp_path / name / "checkpoints"), 2)
    assert not (tmp_path / name).exists()


def owned(folder, step, **config):
    config = tiny_config(**config)
    checkpoints = Checkpoints(str(folder), 3, config=config)
    checkpoints.save(step, tree_at(step))
    checkpoints.close()


def test_a_renamed_checkpoint_is_not_taken_for_a_later_step(tmp_path):
    owned(tmp_path, 100)
    owned(tmp_path, 90)
    (tmp_path / "100").rename(tmp_path / "110")
    said = []
    checkpoints = Checkpoints(str(tmp_path), 3, said.append, config=tiny_config())
    step, _ = checkpoints.restore(LIKE)
    assert step == 90
    assert said == ["checkpoint 110 is damaged and skipped: it was saved at step 100"]


def test_a_checkpoint_of_another_run_is_not_taken(tmp_path):
    """But one of this run before a key was changed that may change, or by an older version."""
    owned(tmp_path, 10, seed=1)
    said = []
    with pytest.raises(UserError, match="no checkpoint is whole"):
        Checkpoints(str(tmp_path), 3, said.append, True, config=tiny_config()).restore(LIKE)
    assert "it is another run's: seed (was 1, now 0)" in said[0]
    config = tiny_config(seed=1, steps=99)
    assert Checkpoints(str(tmp_path), 3, config=config).restore(LIKE)[0] == 10
    saved(tmp_path, [20])
    assert Checkpoints(str(tmp_path), 3, config=config).restore(LIKE)[0] == 20


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_what_cannot_be_read_now_is_not_taken_for_damaged(tmp_path, monkeypatch, number):
    saved(tmp_path, [10, 20])

    def unreadable(path, *rest):
        if f"{tmp_path}/20" in str(path):
            raise OSError(number, os.strerror(number), path)
        return open(path, *rest)

    monkeypatch.setattr(checkpoint, "open", unreadable, raising=False)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=rf"20/.*: {os.strerror(number)}.*cannot be read now"):
        Checkpoints(str(tmp_path), 3).restore(LIKE)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_pipe_in_a_checkpoint_is_damage(tmp_path):
    saved(tmp_path, [10, 20])
    path = data_files(tmp_path, 20)[0]
    os.remove(path)
    os.mkfifo(path)
    with pytest.raises(UserError, match=r"20 is damaged: .* is not a file"):
        Checkpoints(str(tmp_path), 3, read_only=True).restore(LIKE)
    assert Checkpoints(str(tmp_path), 3, lambda text: None).restore(LIKE)[0] == 10


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"init_timestamp_nsecs": "x"}', b"[" * 100_000, b'{"metrics": 1}'],
)
def test_damaged_metadata_is_damage(tmp_path, content):
    saved(tmp_path, [10, 20])
    (tmp_path / "20" / "_CHECKPOINT_METADATA").write_bytes(content)
    said = []
    assert Checkpoints(str(tmp_path), 3, said.append).restore(LIKE)[0] == 10
    assert said[0].startswith("checkpoint 20 is damaged and skipped: _CHECKPOINT_METADATA: ")


def test_a_checkpoint_that_the_training_process_deletes_meanwhile_is_no_damage(tmp_path):
    saved(tmp_path, [10, 20])
    said = []
    reader = Checkpoints(str(tmp_path), 3, said.append, read_only=True)
    assert reader.steps() == [20, 10]
    saved(tmp_path, [30, 40], kept=2)
    assert not (tmp_path / "20").exists()
    step, tree = reader.restore(LIKE)
    assert (step, said) == (40, [])
    assert equal(tree, tree_at(40))


def test_training_goes_on_while_arrays_are_digested(tmp_path, monkeypatch):
    let_go = threading.Event()

    def slow(array):
        assert let_go.wait(PATIENCE)
        return digest(array)

    monkeypatch.setattr(checkpoint, "digest", slow)
    checkpoints = Checkpoints(str(tmp_path), 3)
    checkpoints.save(10, tree_at(10))  # Returns, though nothing is digested yet.
    let_go.set()
    checkpoints.save(20, tree_at(20))
    checkpoints.close()
    assert Checkpoints(str(tmp_path), 3).steps() == [20, 10]


def test_a_save_that_fails_is_raised_by_the_next_call(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_flatten", lambda tree: tree["missing"])
    for told in ("save", "wait", "steps", "close"):
        checkpoints = Checkpoints(str(tmp_path), 3)
        checkpoints.save(10, tree_at(10))
        with pytest.raises(KeyError, match="missing"):
            getattr(checkpoints, told)(*((20, tree_at(20)) if told == "save" else ()))
        checkpoints.close()


# Orbax drops what its other readers found when the first one fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_detects_damage_and_restores_the_checkpoint_before(tmp_path):
    """A damaged checkpoint is named and skipped for the one before it; what it gives back is
    never wrong."""
    saved(tmp_path / "whole", [10, 20])
    skipped, chance = 0, random.Random(0)
    names = data_files(tmp_path / "whole", 20)
    assert len(names) >= 4
    for i, name in enumerate(names):
        for damage in ("flip", "flip a bit", "lose", "cut"):
            copy = tmp_path / f"{i}_{damage}"
            shutil.copytree(tmp_path / "whole", copy)
            path = pathlib.Path(name.replace(str(tmp_path / "whole"), str(copy)))
            content = bytearray(path.read_bytes())
            place = chance.randrange(len(content))
            if damage.startswith("flip"):
                content[place] ^= 0xFF if damage == "flip" else 1 << chance.randrange(8)
            if damage == "cut":
                content = content[:place]
            path.write_bytes(content)
            if damage == "lose":
                path.unlink()
            said = []
            checkpoints = Checkpoints(str(copy), 3, said.append)
            step, tree = checkpoints.restore(LIKE)
            assert equal(tree, tree_at(step))
            if step == 10:
                skipped += 1
                # Without its commit marker a checkpoint does not count as one at all.
                assert not said or "checkpoint 20 is damaged" in said[0]
                checkpoints.save(20, tree_at(20))
            checkpoints.close()
    # The rest are copies of metadata that restoring does without.
    assert skipped >= 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ignores_unfinished_checkpoints(tmp_path):
    """Whatever a kill may leave of it: Orbax writes under another name and renames, inside too."""
    saved(tmp_path / "whole", [10, 20])

    def unfinished(root):
        (root / "20").rename(root / "20.orbax-checkpoint-tmp")

    def half_inside(root):
        (root / "20" / "arrays").rename(root / "20" / "arrays.orbax-checkpoint-tmp")

    def half_deleted(root):
        shutil.rmtree(root / "20" / "digests")

    def empty(root):
        shutil.rmtree(root / "20")
        (root / "20").mkdir()

    for left in (unfinished, half_inside, half_deleted, empty):
        copy = tmp_path / left.__name__
        shutil.copytree(tmp_path / "whole", copy)
        left(copy)
        checkpoints = Checkpoints(str(copy), 3, lambda line: None)
        step, tree = checkpoints.restore(LIKE)
        assert step == 10
        assert equal(tree, tree_at(10))
        checkpoints.save(20, tree_at(20))
        checkpoints.close()
        assert Checkpoints(str(copy), 3).restore(LIKE)[0] == 20


def test_restoring_an_earlier_step_deletes_later_ones(tmp_path):
    saved(tmp_path, [10, 20, 30])
    checkpoints = Checkpoints(str(tmp_path), 3)
    assert checkpoints.restore(LIKE, most=25)[0] == 20
    assert checkpoints.steps() == [20, 10]
    assert checkpoints.restore(LIKE, most=5) is None
    checkpoints.close()
    assert os.listdir(tmp_path) == []


def test_keeps_the_newest_regular_checkpoint_as_well(tmp_path):
    checkpoints = Checkpoints(str(tmp_path), 2, regular=10)
    for step in (10, 20, 21, 22, 23):
        checkpoints.save(step, tree_at(step))
    checkpoints.close()
    assert Checkpoints(str(tmp_path), 2).steps() == [23, 22, 20]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_oserror_at_the_next_call(tmp_path, monkeypatch, number):
    """The arrays' writer, in C++, raises a ValueError in a thread."""
    saved(tmp_path, [10])
    checkpoints = Checkpoints(str(tmp_path), 2)

    def full():
        raise ValueError(f'RESOURCE_EXHAUSTED: Failed writing "x": {os.strerror(number)} [os_err')

    monkeypatch.setattr(checkpoints._manager(), "wait_until_finished", full)

    def save_twice():
        checkpoints.save(20, TREE)
        checkpoints.save(30, TREE)

    for call in (checkpoints.wait, save_twice, checkpoints.close):
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            call()
        assert caught.value.errno == number
        assert caught.value.filename == str(tmp_path)


def test_a_full_file_system_keeps_the_checkpoint_before(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: it takes root")
    # 240 kB, hardly compressed, in several files: when one fails, the others are under way.
    tree = {f"a{i}": np.random.default_rng(i).normal(size=3000) for i in range(10)}
    try:
        checkpoints = Checkpoints(str(tmp_path / "checkpoints"), 2)
        checkpoints.save(1, tree)
        checkpoints.wait()
        (tmp_path / "ballast").write_bytes(bytes(250_000))
        checkpoints.save(2, tree)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.wait()
        checkpoints.close()
        (tmp_path / "ballast").unlink()
        checkpoints = Checkpoints(str(tmp_path / "checkpoints"), 2)
        step, found = checkpoints.restore(tree)
        assert (step, equal(found, tree)) == (1, True)
        checkpoints.save(2, tree)
        checkpoints.close()
        assert Checkpoints(str(tmp_path / "checkpoints"), 2).steps() == [2, 1]
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_another_structure_is_refused(tmp_path):
    saved(tmp_path, [10])
    other = {"a": jax.ShapeDtypeStruct((5,), np.float32), "b": LIKE["b"]}
    for like in (other, LIKE | {"new": LIKE["a"]}, {"a": LIKE["a"]}):
        with pytest.raises(UserError, match="other networks"):
            Checkpoints(str(tmp_path), 3).restore(like)
    assert Checkpoints(str(tmp_path), 3).restore(LIKE)[0] == 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_damaged_checkpoints_are_put_aside_not_deleted(tmp_path):
    folder = tmp_path / "checkpoints"
    saved(folder, [10])
    for name in data_files(folder, 10):
        if "/digests/" in name:
            pathlib.Path(name).write_text("{")
    said = []
    checkpoints = Checkpoints(str(folder), 3, said.append)
    with pytest.raises(UserError, match="no checkpoint is whole"):
        checkpoints.restore(LIKE)
    assert "checkpoint 10 is damaged" in said[0]
    assert data_files(tmp_path / "checkpoints.damaged", 10)
    assert checkpoints.restore(LIKE) is None
    checkpoints.close()


@pytest.mark.parametrize("other", [np.zeros((2, 2)), np.zeros(4, np.float32), np.full(4, -0.0)])
def test_the_digest_sees_type_shape_and_every_bit(other):
    assert digest(np.zeros(4)) == digest(np.zeros(4))
    assert digest(other) != digest(np.zeros(4))
