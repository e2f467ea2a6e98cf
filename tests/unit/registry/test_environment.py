from training.registry.environment import _commit, code_version, environment, installed_version

COMMIT = "748b4e3d2f1a9c0b8e7d6f5a4c3b2a1908070605"


def test_the_environment_names_interpreter_machine_and_packages():
    found = environment()
    assert found["python"].startswith("3.11.")
    assert int(found["host_cores"]) >= 1
    assert {"mlflow", "numpy", "pandas", "scikit-learn", "xgboost"} <= set(found)
    assert found["code_version"] == code_version()


def test_a_local_build_is_named_by_the_version_on_the_index():
    assert "+" not in (installed_version("torch") or "")
    assert installed_version("no-such-distribution") is None


def test_the_commit_is_found_loose_packed_and_detached(tmp_path):
    assert _commit(tmp_path) is None
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    assert _commit(tmp_path) is None
    (tmp_path / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")
    assert _commit(tmp_path) == COMMIT
    (tmp_path / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "refs" / "heads" / "main").write_text("0" * 40 + "\n")
    assert _commit(tmp_path) == "0" * 40
    (tmp_path / "HEAD").write_text(f"{COMMIT}\n")
    assert _commit(tmp_path) == COMMIT
