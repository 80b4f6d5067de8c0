"""The command as its users meet it: arguments, forms of output, sums and exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from image_intensity import measure
from intensity.cli import main
from intensity.cli.arguments import folders
from tests.cli.command import BASE_COLUMNS, COMMAND, csv_rows, folder_of, image, intensity, json_rows, tsv_rows
from tests.core.samples import encoded, pixels
from tests.support import executable

NUMBER = r"(\d[\d,]*)"


@pytest.mark.parametrize("command", [[], ["bulk"]])
def test_help_loads_no_decoder_and_no_library_of_the_extras(command: list[str]) -> None:
    program = (
        "import sys\nfrom intensity.cli import main\n"
        f"try:\n    main({[*command, '--help']})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "foreign = {'numpy', 'PIL', 'tqdm', 'duckdb', 'botocore', 'multiprocessing', 'sqlite3'} & set(sys.modules)\n"
        "sys.exit(str(foreign) if foreign else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"usage: {' '.join(['intensity', *command])} [OPTION]... ")


def test_the_process_that_only_hands_out_files_loads_no_decoder() -> None:
    program = "import sys, intensity.run; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_command_is_installed() -> None:
    program = Path(sys.executable).parent / "intensity"
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"intensity \d+\.\d+\.\d+\n", result.stdout)


def test_without_its_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['{}'] = None; from intensity.cli import main; sys.exit(main(sys.argv[1:]))"
    for module, arguments, extra in (("tqdm", [], "cli"), ("duckdb", ["-o", "x.parquet"], "parquet")):
        command = [sys.executable, "-c", hide.format(module), str(tmp_path), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        assert f"extra '{extra}'" in result.stderr
        assert "Traceback" not in result.stderr


def test_every_file_that_is_found_has_one_row_in_the_order_of_names(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "b", 30)
    first = tmp_path / "z.png"
    first.write_bytes(image(99))
    result = intensity(first, folder, "-j", "3", "--format", "csv")
    rows = csv_rows(result.stdout)
    assert [row["path"] for row in rows] == [str(first), *map(str, sorted(folder.iterdir()))]
    assert [float(row["average_intensity"]) for row in rows] == [
        measure(Path(row["path"]).read_bytes()).average_intensity for row in rows
    ]
    assert result.returncode == 0
    assert result.stderr.startswith("31 files: 31 measured. ")


def test_a_pipe_gets_lines_for_cut_and_a_spreadsheet_with_nothing_quoted(tmp_path: Path) -> None:
    names = ['a "quoted", name.png', "=1+1.png", "tab\there.png", "ü.png"]
    for name in names:
        (tmp_path / name).write_bytes(image(1))
    result = intensity(*sorted(names), cwd=tmp_path)
    rows = tsv_rows(result.stdout)
    assert list(rows[0]) == BASE_COLUMNS
    assert [row["path"] for row in rows] == [r"\x3d1+1.png", 'a "quoted", name.png', r"tab\there.png", "ü.png"]
    cut = subprocess.run(["cut", "-f", "2"], input=result.stdout, capture_output=True, text=True, check=True)
    assert cut.stdout.split() == ["average_intensity", *(row["average_intensity"] for row in rows)]


def test_jq_reads_json_lines(tmp_path: Path) -> None:
    jq = executable("jq")
    (tmp_path / os.fsdecode(b"caf\xe9\n.png")).write_bytes(image(1))
    lines = intensity(tmp_path, "--format", "jsonl").stdout
    result = subprocess.run([jq, "-r", ".average_intensity"], input=lines, capture_output=True, text=True, check=True)
    assert float(result.stdout) == measure(image(1)).average_intensity


def test_the_table_is_for_people(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(pixels("RGB", (1600, 900)), "PNG"))
    (tmp_path / "b.png").write_bytes(b"")
    average = measure((tmp_path / "a.png").read_bytes()).average_intensity
    lines = intensity("a.png", "b.png", "--format", "table", cwd=tmp_path).stdout.splitlines()
    assert lines == [
        "average           size  mode    path",
        f"{average:7.2f}     1600 x 900  RGB     a.png",
        "      -  empty                  b.png",
    ]


def test_problems_have_a_row_each_and_sums_that_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_of(tmp_path / "images", 3)
    (folder / "empty.png").touch()
    (folder / "text.jpg").write_text("not an image")
    (folder / "broken.png").symlink_to("nowhere")
    (folder / "loop.png").symlink_to("loop.png")
    os.mkfifo(folder / "pipe.png")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        # A socket's path has about 100 bytes at most, so here it is the name alone.
        monkeypatch.chdir(folder)
        listener.bind("socket.png")
        (folder / "notes.txt").touch()
        missing_file = tmp_path / "missing.png"
        result = intensity(folder, missing_file, "/dev/null", folder / "0000.png", "--format", "csv")
    codes = {Path(row["path"]).name: row["code"] for row in csv_rows(result.stdout)}
    assert codes == {
        **dict.fromkeys(["0000.png", "0001.png", "0002.png"], ""),
        "empty.png": "empty_file",
        "text.jpg": "unsupported_format",
        "broken.png": "file_missing",
        "missing.png": "file_missing",
        "loop.png": "file_unreadable",
        "pipe.png": "not_a_file",
        "socket.png": "not_a_file",
        "null": "not_a_file",
    }
    assert result.returncode == 1
    *listed, not_taken, last = result.stderr.splitlines()
    assert not_taken == "Not taken: 1 file with another name, 1 name a second time."
    begin, _, reasons = last.partition("; 8 without a number: ")
    assert (begin, reasons[:22]) == ("11 files: 3 measured", "3 no file, 2 not found")
    assert sum(map(int, re.findall(rf"{NUMBER} [a-z]", reasons.partition(". ")[0]))) == len(listed) == 8
    assert f"  {missing_file}: There is no file of this name." in listed


def test_many_problems_are_listed_up_to_a_bound(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02}.png").touch()
    result = intensity(tmp_path)
    assert len(tsv_rows(result.stdout)) == 30
    *listed, more, last = result.stderr.splitlines()
    assert (len(listed), more) == (10, "  and 20 more")
    assert last.startswith("30 files: 0 measured; 30 without a number: 30 empty.")


def test_an_unreadable_folder_and_file_are_rows(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "open", 2)
    (folder / "0001.png").chmod(0)
    closed = folder_of(folder / "closed", 1)
    closed.chmod(0)
    # Permissions do not bind root, unless it gives up the right to pass them by.
    bound = [executable("setpriv"), "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*bound, *COMMAND, str(folder), "--format", "csv"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    closed.chmod(0o700)
    rows = {Path(row["path"]).name: row for row in csv_rows(result.stdout)}
    assert rows["0000.png"]["code"] == ""
    assert rows["0001.png"]["code"] == rows["closed"]["code"] == "file_unreadable"
    assert rows["0001.png"]["detail"] == "The file cannot be read: Permission denied."
    assert rows["closed"]["detail"] == "The folder cannot be read: Permission denied."
    assert result.returncode == 1


def test_a_folder_without_images_is_not_a_success(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    result = intensity(tmp_path, "--format", "csv")
    assert (result.returncode, result.stdout.strip().split(",")) == (1, BASE_COLUMNS)
    assert result.stderr == "No images were found; not taken: 1 file with another name.\n"


@pytest.mark.parametrize("null", [False, True])
def test_names_come_from_standard_input_or_a_file(tmp_path: Path, *, null: bool) -> None:
    names = [b"caf\xe9.png", b"new\nline.png" if null else b"space .png"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(image(1))
    (tmp_path / "list").write_bytes((b"\0" if null else b"\n").join(names))
    options = ["--null"] if null else []
    by_file = intensity("--from", "list", *options, cwd=tmp_path)
    with (tmp_path / "list").open() as list_file:
        by_input = intensity("-", *options, cwd=tmp_path, stdin=list_file)
    assert by_file.stdout == by_input.stdout
    assert [row["path"] for row in tsv_rows(by_file.stdout)] == [
        r"caf\xe9.png",
        r"new\nline.png" if null else "space .png",
    ]
    assert by_file.returncode == by_input.returncode == 0


WRONG_REGIONS = ["", "1,2,3", "+1,2,3,4", "-1,2,3,4", "1,2,3,0", "1e3,0,1,1", "01,0,1,1", "1, 2,3,4", "\u0661,0,1,1"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name a file, a folder, - or --from FILE"),
        (["a.png", "-o", "a.xlsx"], "must end with .csv, .json, .jsonl, .parquet"),
        (["a.png", "-o", "a.csv", "--format", "csv"], "--format is for standard output"),
        (["a.png", "--resume"], "need -o FILE"),
        (["a.png", "--retry-problems"], "need -o FILE"),
        (["a.png", "--force"], "--force is for -o FILE"),
        (["a.png", "-o", "a.csv", "--force", "--resume"], "--resume cannot go with --force"),
        (["a.png", "--format", "table", "--detail", "full"], "--format jsonl"),
        (["a.png", "--null"], "--null needs a list"),
        (["-", "--from", "list"], "two lists"),
        (["a.png", "-j", "0"], "above 0"),
        (["a.png", "--timeout", "nan"], "above 0"),
        (["a.png", "--formats", "PNG,GIF"], "is not a list of PNG, JPEG"),
        (["a.png", "--luma", "bt2020"], "invalid choice"),
        *((["a.png", f"--region={text}"], "is not a region: a region is x,y,width,height") for text in WRONG_REGIONS),
        (["a.png", "--region"], "expected one argument"),
        (["a.png", "--form", "csv"], "unrecognized arguments"),
        (["--from", "missing-list"], "cannot read names from missing-list: No such file"),
        (["/dev/null", "-o", "missing/a.csv"], "cannot write missing/a.csv: No such file"),
        (["-j", "1", "runs"], "a file is ./runs"),
        (["-j", "1", "bulk", "s3://photos"], "the command is `intensity bulk` without options before it"),
        (["s3://photos/a"], "objects of buckets are measured by `intensity bulk`"),
        (["https://example.org/a.png"], "is an address; only files of this machine are measured"),
        (["*.nope"], "no file matches *.nope"),
        (["nope/", "/dev/null"], "there is no folder nope/"),
        (["hlep"], "there is no file, folder or command hlep"),
        (["a.png", "b.png"], "there is no file, folder or command a.png, nor any of the others"),
        (["a.png", "--lumma", "bt709"], "unrecognized arguments: --lumma bt709 (is it --luma?)"),
        (["a.png", "-o", "a.json", "--resume", "--sort", "width"], "--resume cannot go with --sort or -o FILE.json;"),
        (["a.png", "-o", "a.csv", "--resume", "--columns", "path"], "--resume cannot go with --columns"),
        (["a.png", "-o", "a.csv", "--retry-problems", "--summary"], "--resume cannot go with --summary"),
        (["a.png", "--columns", "path,size"], "'size' is no column; there are path, average_intensity, "),
        (["a.png", "--columns", "path", "--format", "jsonl"], "--columns is for CSV and lines with tabs"),
        (["a.png", "--columns", "entropy", "--excel"], "entropy: these columns need --detail full"),
        (["a.png", "--sort", "luma_weights"], "is not one column of numbers or text"),
        (["a.png", "--reverse", "--force"], "--force is for -o FILE; --reverse is for --sort COLUMN;"),
        (["a.png", "--excel", "--format", "tsv"], "--excel is for CSV"),
        (["runs", "strat"], "invalid choice: 'strat'"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        sys.exit(main(arguments))
    out, err = capfd.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert sentence in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_named_like_a_command_to_come_is_given_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "bulk").write_bytes(image(1))
    assert intensity("./bulk", cwd=tmp_path).returncode == 0


def test_what_follows_two_hyphens_is_a_name(tmp_path: Path) -> None:
    names = ["-b.png", "--force", "bulk"]
    for name in names:
        (tmp_path / name).write_bytes(image(1))
    result = intensity("-j", "1", "--format", "csv", "-b.png", cwd=tmp_path)
    assert result.returncode == 2
    command = [*COMMAND, "--format", "csv", "./-b.png", "--", *names]
    rows = csv_rows(subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
    assert [row["path"] for row in rows] == ["./-b.png", r"\x2db.png", r"\x2d-force", "bulk"]


def test_limits_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(image(1, (100, 100)))
    (tmp_path / "b.jpg").write_bytes(encoded(pixels("RGB"), "JPEG"))
    rows = tsv_rows(intensity(tmp_path, "--max-pixels", "9999").stdout)
    assert [row["code"] for row in rows] == ["too_many_pixels", ""]
    rows = tsv_rows(intensity(tmp_path / "a.png", tmp_path / "b.jpg", "--formats", "jpeg").stdout)
    assert [row["code"] for row in rows] == ["unsupported_format", ""]
    rows = tsv_rows(intensity(tmp_path, "--max-bytes", "10000").stdout)
    assert (rows[0]["code"], rows[0]["sha256"]) == ("file_too_large", "")
    assert folders(["a", "--max-pixels", "400000000"]).limits.max_decoded_bytes == 2_900_000_000
    assert folders(["a", "--max-pixels", "1000"]).limits.max_decoded_bytes == 1_450_000_000


def test_progress_as_json_ends_with_everything_done_and_the_sums(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 20)
    (folder / "empty.png").touch()
    result = intensity(folder, "--progress", "json", "-o", tmp_path / "a.jsonl")
    *lines, last, summary = json_rows(result.stderr)
    assert all(set(line) == {"done", "total", "problems", "seconds"} for line in [*lines, last])
    assert (last["done"], last["total"], last["problems"]) == (21, 21, 1)
    assert summary["summary"].pop("seconds") >= 0
    assert summary == {
        "summary": {
            "total": 21,
            "measured": 20,
            "measured_before": 0,
            "problems": {"empty_file": 1},
            "not_reached": 0,
            "not_taken": {},
        }
    }
    assert result.stdout == ""


def test_without_a_terminal_there_is_no_bar_unless_it_is_asked_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 3)
    assert "%" not in intensity(folder).stderr
    assert "100% |" in intensity(folder, "--progress", "bar").stderr


def test_head_ends_the_command_without_a_word(tmp_path: Path) -> None:
    # More than a pipe holds.
    (tmp_path / "names").write_text("".join(f"{number}.png\n" for number in range(2_000)))
    command = f"{shlex.join([*COMMAND, '-j', '1', '--from', str(tmp_path / 'names')])} | head -n 2"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == ""


def test_the_results_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", 40)
    outputs = {intensity(folder, "-j", jobs, "--format", "jsonl").stdout for jobs in ("1", "2", "5")}
    assert len(outputs) == 1
    assert len(json.loads(outputs.pop().splitlines()[-1])) == 13


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom intensity.cli import main\nmain(sys.argv[1:])\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    peaks = []
    # The first run is long enough to fill what has a bound: SQLite's cache. One process, because of several the slower
    # one lets up to 2,000 rows wait, and how many that are depends on what else this machine does.
    for number in (3_000, 13_000):
        names = tmp_path / str(number)
        # Paths of 1,000 bytes: together 13 MB, and as objects of Python more.
        names.write_text("".join(f"{'folder/' * 114}{name:0200}.png\n" for name in range(number)))
        command = [sys.executable, "-c", program, "--from", str(names), "-o", f"{names}.csv", "-j", "1"]
        result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
        assert len(csv_rows(Path(f"{names}.csv").read_text())) == number
        peaks.append(int(result.stdout))
    assert peaks[1] - peaks[0] < 6_000, f"from {peaks[0]} to {peaks[1]} KB"
