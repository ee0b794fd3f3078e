"""Nothing of anybody's is lost: a user's files, a finished result, another process' work."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stochisru.errors import FileWarning, InputError, OutputError
from stochisru.files import FILES, MADE_BY, MANIFEST, read_manifest, replacing_folder

SMALL = ("--horizon", "2", "--branching", "2,2", "--paths", "100")


def fill(target, content, **entries):
    """A result whose files are ``content`` by path."""
    with replacing_folder(target) as folder:
        (folder / MANIFEST).write_text(json.dumps({**MADE_BY, **entries}))
        for name, text in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)


def contents(folder):
    """Text of the files of a folder but the manifest, by path."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_text() for name, path in sorted(found.items()) if name != MANIFEST}


# --- only what the manifest lists is replaced


def test_a_users_files_stay_and_changed_ones_are_kept_under_another_name(tmp_path):
    target = tmp_path / "out"
    fill(target, {"case.toml": "old", "tables/a.csv": "old", "tables/gone.csv": "old", "figures/f.png": "old"})
    assert set(read_manifest(target)[FILES]) == {"case.toml", "tables/a.csv", "tables/gone.csv", "figures/f.png"}
    (target / "tables" / "mine.csv").write_text("mine")
    (target / "notes").mkdir()
    (target / "notes" / "thesis.txt").write_text("years of work")
    (target / "case.toml").write_text("old # my comment")
    (target / "report.html").write_text("my page")
    with pytest.warns(FileWarning, match=r"kept as case.kept-1.toml, report.kept-1.html$"):
        fill(target, {"case.toml": "new", "tables/a.csv": "new", "report.html": "new"})
    assert contents(target) == {
        "case.kept-1.toml": "old # my comment",
        "case.toml": "new",
        "notes/thesis.txt": "years of work",
        "report.html": "new",
        "report.kept-1.html": "my page",
        "tables/a.csv": "new",
        "tables/mine.csv": "mine",
    }
    assert not (target / "figures").exists()  # it held nothing of the user's
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    fill(target, {"case.toml": "newer"})
    assert contents(target)["case.kept-1.toml"] == "old # my comment"
    assert contents(target)["tables/mine.csv"] == "mine"


@pytest.mark.parametrize("what", ["link", "file", "folder"])
def test_links_and_files_in_the_way_of_folders_are_the_users(tmp_path, what):
    target, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    fill(target, {"case.toml": "old", "tables/a.csv": "old"})
    shutil.move(target / "tables", elsewhere)
    if what == "link":
        (target / "tables").symlink_to(elsewhere)
    elif what == "file":
        (target / "tables").write_text("mine")
    else:
        (target / "tables" / "a.csv").mkdir(parents=True)
        (target / "tables" / "a.csv" / "mine").write_text("mine")
    with pytest.warns(FileWarning, match="kept as"):
        fill(target, {"case.toml": "new", "tables/a.csv": "new"})
    assert (target / "tables" / "a.csv").read_text() == "new"
    assert (elsewhere / "a.csv").read_text() == "old"
    if what == "link":
        assert (target / "tables.kept-1").is_symlink()
    else:
        assert "mine" in contents(target).values()


def test_a_manifest_that_lists_nothing_or_points_elsewhere_is_refused(tmp_path):
    target = tmp_path / "out"
    (tmp_path / "precious").write_text("years of work")
    target.mkdir()
    for listed in (None, {}, [], 3, {"../precious": "x"}, {str(tmp_path / "precious"): "x"}, {"a": 1}):
        (target / MANIFEST).write_text(json.dumps({**MADE_BY, FILES: listed} if listed is not None else MADE_BY))
        with pytest.raises(InputError, match=r"^out: .*does not list its files; move it away or give another"):
            fill(target, {"case.toml": "new"})
    assert (tmp_path / "precious").read_text() == "years of work"


def test_a_run_again_and_a_report_keep_what_is_the_users(run_cli, tmp_path):
    run_cli("run", "lunar-reference", *SMALL, "--out", "r", check=0)
    (tmp_path / "r" / "tables" / "mine.csv").write_text("mine")
    case = tmp_path / "r" / "case.toml"
    case.write_text(case.read_text() + "# my comment\n")
    (tmp_path / "r" / "report.html").unlink()
    assert run_cli("report", "r", check=0).stderr == ""
    again = run_cli("run", "lunar-reference", *SMALL, "--out", "r", check=0)
    assert again.stderr.count("\n") == 1
    assert again.stderr.startswith("warning: out: ")
    assert again.stderr.endswith("kept as case.kept-1.toml\n")
    assert (tmp_path / "r" / "tables" / "mine.csv").read_text() == "mine"
    assert (tmp_path / "r" / "case.kept-1.toml").read_text().endswith("# my comment\n")
    digests = read_manifest(tmp_path / "r")[FILES].values()
    assert not any(digest in (tmp_path / "r" / "report.html").read_text() for digest in digests)


# --- where the folder is


def _mounts() -> bool:
    probe = ["unshare", "-rm", "true"]
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0


@pytest.mark.skipif(not _mounts(), reason="needs a file system of its own")
def test_a_mount_point_is_written_to(root, tmp_path):
    """As a container's volume: nothing can be moved onto it."""
    run = f"{sys.executable} -m stochisru run lunar-reference {' '.join(SMALL)} --out vol"
    script = (
        f"mount -t tmpfs none {tmp_path}/vol && cd {tmp_path} && for i in 1 2; do {run} || exit 9; done; "
        "ls -A vol; ls -A . ; test -s vol/report.html"
    )
    (tmp_path / "vol").mkdir()
    ran = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert ran.returncode == 0, ran.stderr
    found = ["case.toml", "figures", "manifest.json", "report.html", "tables", "tree.npz", "vol"]
    assert ran.stdout.splitlines()[-len(found) :] == found


def test_a_folder_that_nothing_can_be_moved_to_is_filled_in_place(tmp_path, monkeypatch):
    target = tmp_path / "out"
    fill(target, {"case.toml": "old"})
    rename = Path.rename

    def across(self, to):
        if self.parent == tmp_path and Path(to).parent == target:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", across)
    with replacing_folder(target) as folder:
        assert folder.parent == target
        (folder / MANIFEST).write_text(json.dumps(MADE_BY))
        (folder / "case.toml").write_text("new")
    assert contents(target) == {"case.toml": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["a[x]", "a**b", "*", "[", "a b", "ü", "x?y"])
def test_names_with_glob_signs(tmp_path, name):
    """What a killed run left of them goes, what is of other names stays."""
    other = tmp_path / ".a1.0123abcd.part"
    other.mkdir()
    (tmp_path / f".{name}.0123abcd.part").mkdir()
    fill(tmp_path / name, {"case.toml": "old"})
    fill(tmp_path / name, {"case.toml": "new"})
    assert contents(tmp_path / name) == {"case.toml": "new"}
    assert {p.name for p in tmp_path.iterdir()} == {name, other.name}


def test_titles_with_signs_of_markup_are_shown_as_they_are(run_cli, tmp_path):
    run_cli("case", "init", "me.toml", check=0)
    text = (tmp_path / "me.toml").read_text().replace('name = "me"', 'name = "[b] a[x]"')
    (tmp_path / "me.toml").write_text(text)
    for command in (("case", "show"), ("value",)):
        shown = run_cli(*command, "me.toml", *(SMALL[:4] if command == ("value",) else ()), check=0)
        assert "[b] a[x]" in shown.stdout


# --- a finished result is never discarded


def test_a_result_that_cannot_be_placed_is_kept_and_named(tmp_path):
    target = tmp_path / "out"

    def work():
        with replacing_folder(target) as folder:
            (folder / MANIFEST).write_text(json.dumps(MADE_BY))
            (folder / "case.toml").write_text("new")
            target.mkdir()
            (target / "thesis.txt").write_text("years of work")

    with pytest.raises(OutputError, match=r"holds other files.*; the results are in .*/out\.kept-1$"):
        work()
    assert contents(target) == {"thesis.txt": "years of work"}
    assert contents(tmp_path / "out.kept-1") == {"case.toml": "new"}


@pytest.mark.filterwarnings("ignore::stochisru.errors.FileWarning")
@pytest.mark.parametrize("moves", range(1, 6))
def test_a_run_that_was_killed_while_it_moved_its_files_is_finished_by_the_next(tmp_path, monkeypatch, moves):
    """Moves: its manifest with the list, the old manifest away, three files, the manifest."""
    target, replace, left = tmp_path / "out", Path.replace, [moves]
    fill(target, {"a": "old", "b": "old", "c": "old", "gone": "old"}, seed=1)
    (target / "c").write_text("changed")

    class Killed(BaseException):
        pass

    def killed(self, to):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return replace(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(Killed):
            fill(target, {"a": "new", "b": "new", "c": "new"}, seed=2)
    now = read_manifest(target)
    assert now["seed"] == 1 if moves == 1 else now is None  # a mixture is never taken for a result
    with pytest.raises(InputError, match="of another case"), replacing_folder(target, same={"seed": 1}):
        pass
    assert read_manifest(target)["seed"] == 2
    assert contents(target) == {"a": "new", "b": "new", "c": "new", "c.kept-1": "changed"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


# --- others at work on the same folder


def test_without_locks_nothing_of_others_is_swept(tmp_path, monkeypatch):
    """Another container's work may look like a leftover: only a lock says that nobody is at it."""
    other = tmp_path / ".out.0123abcd.part"
    other.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("stochisru.locks._lock", lambda *_: False)
        fill(tmp_path / "out", {"case.toml": "old"})
    assert other.exists()
    fill(tmp_path / "out", {"case.toml": "new"})
    assert not other.exists()


def test_a_lock_whose_file_was_just_removed_is_none(tmp_path, monkeypatch):
    """Its owner ended between our opening the file and locking it: a third one may have made another file since."""
    from stochisru import locks

    file, lock = tmp_path / "f.lock", locks._lock

    def late(descriptor, folder, field):
        file.unlink()
        return lock(descriptor, folder, field)

    monkeypatch.setattr(locks, "_lock", late)
    with pytest.raises(InputError, match="in use by another process"), locks.locked(file, tmp_path, "out"):
        pass


def test_an_interrupt_waits_until_the_files_are_moved(tmp_path, monkeypatch):
    target, replace = tmp_path / "out", Path.replace
    fill(target, {"a": "old", "b": "old"})

    def interrupted(self, to):
        if self.name == MANIFEST and Path(to).name == ".before":
            signal.raise_signal(signal.SIGINT)
        return replace(self, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill(target, {"a": "new", "b": "new"})
    assert contents(target) == {"a": "new", "b": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
