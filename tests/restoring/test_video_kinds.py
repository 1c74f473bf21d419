"""Videos of every kind: what is kept, what is refused, and what is reported as lost."""

import itertools
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from support import films
from vmambair_arch import cli, save_network
from vmambair_arch.errors import InputError
from vmambair_arch.restoring.video import is_video, muxing, restore_video, suffix_for, verification
from vmambair_arch.restoring.video.completeness import Span

av = pytest.importorskip("av")

SIZE = (32, 48)


def same(image: np.ndarray) -> np.ndarray:
    return image


def restored(source: Path, ending: str = ".mkv", **options):
    """The target, and the notes on it."""
    target = source.with_name(f"out{ending}")
    options = {"crf": 1, "part": 4, "overwrite": True, **options}
    return target, restore_video(source, target, same, made_with="same", **options)


def refused(sentence: str, source: Path, ending: str = ".mkv", **options) -> str:
    with pytest.raises(InputError, match=sentence) as raised:
        restored(source, ending, **options)
    assert not source.with_name(f"out{ending}").exists()
    assert not list(source.parent.glob(".out*")), "nothing is left behind"
    assert "Errno" not in str(raised.value)
    return str(raised.value)


def decoded(path: Path, form: str = "rgb24") -> list[np.ndarray]:
    with av.open(path) as container:
        return [frame.to_ndarray(format=form) for frame in container.decode(video=0)]


def stream(path: Path, number: int = 0):
    container = av.open(path)
    next(container.decode(video=number))
    return container.streams.video[number]


# whatever the version of FFmpeg


def test_the_time_of_creation_that_asf_files_do_not_have_is_no_tag():
    tags = {"creation_time": "1970-01-01T00:00:00.000000Z", "Title": "ten pictures"}
    assert muxing.kept_tags(tags, "mp4") == {"title": "ten pictures"}
    tags["creation_time"] = "2026-11-29T10:00:00.000000Z"
    assert muxing.kept_tags(tags, "mp4").keys() == {"creation_time", "title"}


@pytest.mark.parametrize(
    ("packets", "last", "wrong"),
    [(3, 0.6, ""), (2, 0.6, "0.20 s of 0.36 s of sound"), (3, 0.4, "0.20 s of 0.36 s of sound")],
)
def test_sound_is_whole_if_only_the_duration_of_its_last_packet_is_unknown(packets, last, wrong):
    given = Span(packets=3, start=0.0, last=0.2, end=0.36)
    made = Span(packets=packets, start=0.4, last=last, end=0.6)  # later, as by some containers
    assert verification._wrong_sound([made], [given]) == wrong


# depth and colours


@pytest.mark.parametrize(
    ("codec", "pixels", "expected"),
    [
        ("ffv1", "yuv420p10le", "yuv420p10le"),
        ("ffv1", "yuv422p", "yuv422p"),
        ("prores_ks", "yuv422p10le", "yuv422p10le"),
        ("ffv1", "yuv444p", "yuv444p"),
        ("ffv1", "yuv411p", "yuv422p"),
        ("ffv1", "yuv440p", "yuv444p"),
        ("ffv1", "yuv444p16le", "yuv444p10le"),
        ("ffv1", "gbrp10le", "yuv444p10le"),
        ("ffv1", "bgr0", "yuv444p"),
        ("ffv1", "gray", "yuv420p"),
    ],
)
def test_depth_and_chroma_resolution_are_at_least_the_sources(tmp_path, codec, pixels, expected):
    source = films.write(tmp_path / "in.mkv", codec=codec, pixels=pixels)
    target, _ = restored(source)
    assert stream(target).pix_fmt == expected
    for given, made in zip(decoded(source), decoded(target), strict=True):
        assert np.abs(made.astype(int) - given).mean() < 3


def test_ten_bits_are_restored_in_sixteen(tmp_path):
    source, kinds = films.write(tmp_path / "in.mkv", codec="ffv1", pixels="yuv420p10le"), set()

    def restore(image):
        kinds.add((image.dtype.name, image.shape))
        return image

    restore_video(source, tmp_path / "out.mkv", restore, made_with="same")
    assert kinds == {("uint16", (*SIZE, 3))}


# alpha


@pytest.mark.parametrize(
    ("codec", "pixels", "ending"),
    [("qtrle", "argb", ".mov"), ("png", "rgba", ".mov"), ("prores_ks", "yuva444p10le", ".mov")]
    + [("libvpx-vp9", "yuva420p", ".webm"), ("ffv1", "yuva420p", ".mkv")],
)
def test_alpha_is_kept_in_a_codec_that_has_it_or_refused(tmp_path, codec, pixels, ending):
    options = (
        {"profile": "4444"} if codec == "prores_ks" else {"auto-alt-ref": "0", "lossless": "1"}
    )
    source = films.write(
        *(tmp_path / f"in{ending}",),
        codec=codec,
        pixels=pixels,
        alpha=True,
        options=options if codec in ("prores_ks", "libvpx-vp9") else None,
    )
    refused(
        "cannot hold the transparency.*ends in .mov .ProRes 4444. or .mkv .FFV1.$", source, ".mp4"
    )
    for made, name in ((".mov", "prores"), (".mkv", "ffv1")):
        target, _ = restored(source, made)
        assert stream(target).codec_context.name == name
        before, after = decoded(source), decoded(target)
        for number, image in enumerate(decoded(target, "rgba")):
            expected = films.frame(number, *SIZE)[..., 3].astype(int)
            assert np.abs(image[..., 3] - expected).max() <= 2
            assert np.abs(after[number] - before[number].astype(int)).mean() < 1.5
    assert suffix_for(source) == (ending if ending != ".webm" else ".mov")


def test_opaque_alpha_needs_no_such_codec(tmp_path):
    source = films.write(tmp_path / "in.mov", codec="qtrle", pixels="argb")
    assert stream(restored(source, ".mp4")[0]).pix_fmt == "yuv444p"


# geometry


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p"])
@pytest.mark.parametrize(
    ("matrix", "orientation"),
    [
        ((1, 0, 0, 1), lambda x: x),
        ((-1, 0, 0, 1), lambda x: x[:, ::-1]),
        ((1, 0, 0, -1), lambda x: x[::-1]),
        ((-1, 0, 0, -1), lambda x: x[::-1, ::-1]),
        ((0, 1, 1, 0), lambda x: x.swapaxes(0, 1)),
        ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
        ((0, -1, 1, 0), lambda x: np.rot90(x)),
        ((0, -1, -1, 0), lambda x: np.rot90(x, 2).swapaxes(0, 1)),
    ],
)
def test_turned_and_mirrored_videos_come_out_upright(tmp_path, matrix, orientation, pixels):
    sizes = (SIZE,) * 2
    source = films.write(tmp_path / "in.mp4", sizes=sizes, pixels=pixels, aspect=Fraction(4, 3))
    expected = orientation(decoded(source)[0]).astype(int)
    target, _ = restored(films.with_matrix(source, matrix), ".mp4")
    assert np.abs(decoded(target)[0] - expected).mean() < 3
    turned = matrix[0] == 0
    assert stream(target).sample_aspect_ratio == (Fraction(3, 4) if turned else Fraction(4, 3))
    if turned:  # colours of half the width have half the height then
        assert stream(target).pix_fmt == ("yuv420p" if pixels == "yuv420p" else "yuv444p")


def test_videos_turned_by_other_angles_are_refused(tmp_path):
    source = films.with_matrix(films.write(tmp_path / "in.mp4"), (1, 1, -1, 1))
    refused("in.mp4: is not rotated by a multiple of 90 degrees", source)


@pytest.mark.parametrize(("transfer", "name"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_videos_are_refused(tmp_path, transfer, name):
    options = {"x264-params": f"transfer={transfer}"}
    source = films.write(tmp_path / "in.mp4", options=options)
    refused(rf"in.mp4: high dynamic range \({name}\) is not restored", source)


def test_a_size_that_changes_is_refused_with_the_frame_and_both_sizes(tmp_path):
    both = b""
    for size in (SIZE, (48, 64)):
        part = films.write(tmp_path / "part.h264", sizes=(size,) * 5, container="h264")
        both += part.read_bytes()
    source = tmp_path / "in.h264"
    source.write_bytes(both)
    refused("from frame 6 on it is 64 x 48 instead of 48 x 32 pixels; .*scale=48:32", source)


# interlaced


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_interlaced_videos_are_refused_or_every_field_becomes_a_frame(tmp_path, order):
    options = {"flags": "+ildct+ilme", "x264-params": f"{order}=1", "crf": "0"}
    with av.open(tmp_path / "in.mp4", "w") as output:
        video = output.add_stream("libx264", 25, options)
        video.height, video.width, video.pix_fmt = 32, 64, "yuv444p"
        graph, form = av.filter.Graph(), av.VideoFormat("rgb24")
        given = graph.add_buffer(width=64, height=32, format=form, time_base=Fraction(1, 25))
        flagged = graph.add("setfield", f"mode={order}"), graph.add("buffersink")
        graph.link_nodes(given, *flagged).configure()
        for number in range(5):  # a bar that moves on by 4 pixels from field to field
            image = np.zeros((32, 64, 3), np.uint8)
            first, second = (0, 1) if order == "tff" else (1, 0)
            image[first::2, 8 * number : 8 * number + 8] = 255
            image[second::2, 8 * number + 4 : 8 * number + 12] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            graph.vpush(frame)
            output.mux(video.encode(graph.vpull()))
        output.mux(video.encode())
    source = tmp_path / "in.mp4"
    refused("in.mp4: is interlaced: .*--deinterlace", source)
    target, _ = restored(source, deinterlace=True)
    lefts = [int((image[8:-8, :, 1].mean(0) > 128).argmax()) for image in decoded(target)]
    assert len(lefts) == 10 and lefts[2:] == [4 * number for number in range(2, 10)]
    assert not stream(target).codec_context.field_order > 1
    assert stream(target).average_rate == 50


def test_interlacing_stated_only_by_the_file_is_found(tmp_path):
    options = {"field_order": "tt"}
    source = films.write(tmp_path / "in.mov", codec="qtrle", pixels="rgb24", options=options)
    if not hasattr(stream(source).codec_context, "field_order"):
        pytest.skip("this PyAV does not tell the order of fields")
    refused("is interlaced", source)
    assert restored(source, deinterlace=True)[1].frames == 20


def test_deinterlacing_a_progressive_video_changes_nothing_and_is_reported(tmp_path):
    target, result = restored(films.write(tmp_path / "in.mp4"), deinterlace=True)
    assert result.lacking == ("it is not interlaced",)
    assert len(decoded(target)) == 10


# rates


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(24000, 1001), Fraction(60)])
@pytest.mark.parametrize("ending", [".mkv", ".mp4"])
def test_results_have_the_frame_rate_of_their_source(tmp_path, rate, ending):
    source = tmp_path / f"in{ending}"
    with av.open(source, "w") as output:
        video = output.add_stream("libx264", rate)
        video.height, video.width, video.pix_fmt = *SIZE, "yuv420p"
        for number in range(20):
            image = np.ascontiguousarray(films.frame(number, *SIZE)[..., :3])
            output.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(video.encode())
    made = stream(restored(source, ending)[0])
    assert float(made.average_rate) == pytest.approx(float(rate), rel=1e-3)
    assert float(made.codec_context.framerate) == pytest.approx(float(rate), rel=1e-3)


# containers


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mts", "libx264", "mpegts"),
        ("a.m2ts", "mpeg2video", "mpegts"),
        ("a.vob", "mpeg2video", "vob"),
    ]
    + [("a.mpg", "mpeg1video", "mpeg"), ("a.3gp", "libx264", "3gp"), ("a.flv", "flv", "flv")]
    + [("a.wmv", "wmv2", "asf"), ("a.ogv", "libtheora", "ogg"), ("a.avi", "mpeg4", "avi")]
    + [("a.webm", "libvpx-vp9", "webm"), ("a.nut", "ffv1", "nut"), ("a.h264", "libx264", "h264")]
    + [
        ("a.clip", "libx264", "matroska"),
        ("a", "libx264", "mov"),
        ("b:c#%20.avi", "libx264", "avi"),
    ],
)
def test_containers_are_recognised_by_their_content(tmp_path, name, codec, container):
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    source = films.write(tmp_path / name, codec=codec, container=container)
    assert is_video(source) and suffix_for(source) == ".mp4"
    target, result = restored(source, ".mp4")
    assert result == (10, (), ())
    for given, made in zip(decoded(source), decoded(target), strict=True):
        assert np.abs(made.astype(int) - given).mean() < 4


def test_pictures_texts_and_sound_are_not_videos(tmp_path):
    from PIL import Image

    image = Image.fromarray(films.frame(0, *SIZE)[..., :3])
    for name in ("a.gif", "a.ico", "a.tga", "a.jp2", "a.avif"):
        if Image.registered_extensions().get(Path(name).suffix):
            image.save(tmp_path / name)
            assert not is_video(tmp_path / name), name
    (tmp_path / "a.txt").write_text("no video\n" * 99)
    (tmp_path / "list.txt").write_text("ffconcat version 1.0\nfile a.mp4\n")
    assert not is_video(tmp_path / "a.txt") and not is_video(tmp_path / "list.txt")
    assert is_video(tmp_path / "missing.webm") and not is_video(tmp_path / "missing.png")


# complete or not


@pytest.mark.parametrize("cut", [0.5, 0.8])
@pytest.mark.parametrize(
    ("name", "container", "sentence"),
    [
        ("in.mp4", None, r"\d+ of the 60 frames in its index are there"),
        ("in.mkv", None, r"\d.\d\d s of the 2.40 s in its header are there|cut off"),
        ("in.avi", None, r"\d.\d\d s of the 2.40 s in its header are there|cut off"),
        ("in.flv", None, r"\d.\d\d s of the \d.\d\d s in its header are there|cut off"),
    ],
)
def test_a_video_that_is_cut_off_is_refused_or_salvaged(tmp_path, name, container, sentence, cut):
    source = films.write(
        tmp_path / name,
        sizes=(SIZE,) * 60,
        codec="flv" if name == "in.flv" else "libx264",
        options={"bf": "0", "g": "1"} if name != "in.flv" else {"g": "1"},
        container_options={"movflags": "+faststart"},
    )
    whole = source.read_bytes()
    source.write_bytes(whole[: int(cut * len(whole))])
    assert "--salvage" in refused(sentence, source)
    target, result = restored(source, salvage=True)
    assert 0 < len(decoded(target)) == result.frames < 60
    assert len(result.lacking) >= 1


def test_a_video_that_is_damaged_in_the_middle_is_refused_or_salvaged(tmp_path):
    source = films.write(tmp_path / "in.mkv", options={"g": "1", "bf": "0", "crf": "4"})
    with av.open(source) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(source.read_bytes())
    at, size = places[5]
    content[at + size // 3 : at + size - 4] = b"\xff" * (size - 4 - size // 3)
    source.write_bytes(content)
    said = refused("frame 6 is damaged|1 of its 10 frames", source)
    assert "--salvage" in said
    assert restored(source, salvage=True)[1].lacking


def test_concatenated_videos_are_refused_with_advice(tmp_path):
    part = films.write(tmp_path / "part.ts", sizes=(SIZE,) * 40, codec="mpeg2video")
    source = tmp_path / "in.ts"
    source.write_bytes(part.read_bytes() * 2)
    with pytest.raises(InputError, match="from frame 4. on its times start again.*-c copy"):
        restored(source, salvage=True)  # the packet between them is cut off


# what goes with it


def rich(path: Path) -> Path:
    """A video with two languages, a title, chapters, and in Matroska subtitles, a font, a cover."""
    from av.stream import Disposition

    with av.open(path, "w") as output:
        output.metadata.update({"title": "Reise", "artist": "José"})
        video = output.add_stream("libx264", 25)
        video.height, video.width, video.pix_fmt = *SIZE, "yuv420p"
        sound = [output.add_stream("aac", 16000, layout="mono") for _ in range(2)]
        for track, language in zip(sound, ("eng", "fra"), strict=True):
            track.metadata.update({"language": language, "title": f"in {language}"})
        sound[0].disposition, sound[1].disposition = Disposition(0), Disposition.default
        if path.suffix == ".mkv":
            output.add_attachment("font.ttf", "font/ttf", b"letters")
            cover = av.VideoFrame(16, 16, "yuvj420p")
            encoder = av.CodecContext.create("mjpeg", "w")
            encoder.width = encoder.height = 16
            encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1, 25)
            output.add_attachment("cover.jpg", "image/jpeg", bytes(encoder.encode(cover)[0]))
        named = {"time_base": Fraction(1, 1000), "metadata": {"title": "one"}}
        output.set_chapters([{"id": 1, "start": 0, "end": 200, **named}])
        for number in range(10):
            image = np.ascontiguousarray(films.frame(number, *SIZE)[..., :3])
            output.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(video.encode())
        for track in sound:
            silence = np.zeros((1, 6400), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 0
            for part in itertools.chain(track.encode(frame), track.encode()):
                output.mux(part)
    return path


def described(path: Path) -> dict:
    """The tags of a file and its tracks."""
    from av.stream import Disposition

    with av.open(path) as container:
        tracks = [
            (track.language, track.metadata.get("title") or track.metadata.get("name"))
            + (bool(track.disposition & Disposition.default),)
            for track in container.streams.audio
        ]
        chapters = [
            (chapter["metadata"].get("title"), chapter["start"] * chapter["time_base"])
            for chapter in container.chapters()
        ]
        tags = {name.lower(): value for name, value in container.metadata.items()}
        covers = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
        return {
            "sound": tracks,
            "chapters": chapters,
            "tags": (tags["title"], tags["artist"]),
            "covers": len(covers),
            "files": [bytes(s.data) for s in container.streams if s.type == "attachment"],
        }


@pytest.mark.parametrize("given", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("made", [".mkv", ".mp4", ".mov"])
def test_languages_titles_flags_chapters_and_covers_are_kept_or_reported_as_lost(
    tmp_path, given, made
):
    source = rich(tmp_path / f"in{given}")
    before = described(source)
    assert before["sound"] == [("eng", "in eng", False), ("fra", "in fra", True)]
    target, result = restored(source, made)
    after = described(target)
    for what in ("sound", "chapters", "tags"):
        assert after[what] == before[what], what
    lost = []
    if given == ".mkv":
        lost += ["cover"] if made == ".mov" else []
        lost += ["attached font.ttf"] if made != ".mkv" else []
    assert sorted(result.lost) == sorted(lost)
    assert (after["covers"] == before["covers"]) == ("cover" not in lost)
    assert (after["files"] == before["files"]) == ("attached font.ttf" not in lost)


def test_subtitles_that_a_container_cannot_hold_are_reported_as_lost(tmp_path):
    text = b"1\n00:00:00,100 --> 00:00:00,300\nhello\n"
    (tmp_path / "in.srt").write_bytes(text)
    films.write(tmp_path / "plain.mkv")
    with (
        av.open(tmp_path / "plain.mkv") as video,
        av.open(tmp_path / "in.srt") as words,
        av.open(tmp_path / "in.mkv", "w") as output,
    ):
        pairs = [(video, video.streams[0]), (words, words.streams[0])]
        places = [output.add_stream_from_template(given, opaque=True) for _, given in pairs]
        places[1].metadata["language"] = "deu"
        for (container, given), place in zip(pairs, places, strict=True):
            for packet in container.demux(given):
                if packet.size:
                    packet.stream = place
                    output.mux(packet)
    assert restored(tmp_path / "in.mkv", ".mkv")[1].lost == ()
    with av.open(tmp_path / "out.mkv") as container:
        assert [track.language for track in container.streams.subtitles] == ["deu"]
    (lost,) = restored(tmp_path / "in.mkv", ".mp4")[1].lost
    assert lost.startswith("subtitles (")


def test_captions_and_the_mark_of_a_360_degree_video_are_reported_as_lost(tmp_path):
    plain = films.write(tmp_path / "plain.mp4")
    source = films.with_captions(tmp_path / "in.mp4", plain)
    assert restored(source)[1].lost == ("closed captions",)
    both = ("closed captions", "the mark of a 360-degree video")
    assert restored(films.with_sphere(source))[1].lost == both
    assert restored(plain)[1].lost == ()


# the command


@pytest.fixture
def network(empty_folder) -> str:
    from support.picture_files import identity

    save_network(identity(1), "same.safetensors")
    return "same.safetensors"


def test_the_command_reports_losses_and_never_mistakes_a_films_name_for_a_folder(network, capsys):
    rich(Path("in.mkv"))
    films.write(Path("camera.mts"), container="mpegts", codec="mpeg2video")

    def run(*arguments: str) -> int:
        return cli.vmambair(["restore", *arguments, "-m", network])

    assert run("in.mkv", "-o", "out.mov") == 0
    said = capsys.readouterr().out
    assert "out.mov: 10 frames restored in" in said
    assert "not kept: " in said and "cover" in said and "attached font.ttf" in said
    for name in ("out.webm", "out.avi", "out.png"):
        assert run("in.mkv", "-o", name) == 2
        assert f"{name}: .{name[4:]} cannot be written" in capsys.readouterr().err
        assert not Path(name).exists()
    assert run("camera.mts", "-o", "folder") == 0
    assert [path.name for path in Path("folder").iterdir()] == ["camera.mp4"]


def test_a_second_video_is_reported_as_lost(tmp_path):
    with av.open(tmp_path / "two.mp4", "w") as output:
        tracks = [output.add_stream("libx264", 25) for _ in range(2)]
        for track in tracks:
            track.height, track.width, track.pix_fmt = *SIZE, "yuv420p"
        for number, track in enumerate(tracks):
            for index in range(5):
                image = np.ascontiguousarray(films.frame(index + number, *SIZE)[..., :3])
                output.mux(track.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            output.mux(track.encode())
    _, result = restored(tmp_path / "two.mp4")
    assert result.frames == 5 and result.lost == ("second video (h264)",)


@pytest.mark.parametrize("told", [1, 7])
def test_an_index_that_contradicts_itself_is_not_trusted(tmp_path, told):
    """Its table of sizes names fewer frames than its table of times."""
    path = films.write(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.index(b"stsz") + 12, told)
    path.write_bytes(content)
    refused("of the 10 frames in its index are there", path)
