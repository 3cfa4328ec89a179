"""The declarations of fuzz targets are read strictly."""

import pytest
from guestproof_dev import targets
from guestproof_dev.errors import Fail
from guestproof_dev.targets import Target


def test_declarations(sketch):
    sketch.write("fuzz/CMakeLists.txt", """
# guestproof_fuzz_target(old old_fuzz.cc SUBJECT lib)
guestproof_fuzz_target(rng virtio/device/rng_fuzz.cc SUBJECT lib/guestproof/virtio/device/rng)  # a remark
  guestproof_fuzz_target( queue
    virtio/queue_fuzz.cc
    SUBJECT lib/guestproof/virtio/queue lib/guestproof/memory/memory.h
    EXCEPT lib/guestproof/virtio/queue/shared.h )
""")
    assert targets.load(sketch.root) == [
        Target("rng", "virtio/device/rng_fuzz.cc", ("lib/guestproof/virtio/device/rng",)),
        Target("queue", "virtio/queue_fuzz.cc", ("lib/guestproof/virtio/queue", "lib/guestproof/memory/memory.h"),
               ("lib/guestproof/virtio/queue/shared.h",)),
    ]


@pytest.mark.parametrize("path, expected", [
    ("lib/guestproof/virtio/queue/split/ring.h", True),
    ("lib/guestproof/memory/memory.h", True),
    ("lib/guestproof/virtio/queue/shared.h", False),
    ("lib/guestproof/virtio/queue_of_another_kind/ring.h", False),
])
def test_what_a_target_is_to_cover(path, expected):
    target = Target("queue", "queue_fuzz.cc", ("lib/guestproof/virtio/queue", "lib/guestproof/memory/memory.h"),
                    ("lib/guestproof/virtio/queue/shared.h",))
    assert target.is_to_cover(path) == expected


@pytest.mark.parametrize("text, sentence", [
    ("guestproof_fuzz_target(rng)", "'guestproof_fuzz_target(rng)' is not of the form"),
    ("guestproof_fuzz_target(../rng rng_fuzz.cc SUBJECT lib)", "is not of the form"),
    ("guestproof_fuzz_target(rng rng_fuzz.cc SUBJECT)", "is not of the form"),
    ("guestproof_fuzz_target(rng rng_fuzz.cc SUBJECT EXCEPT lib/a.h)", "is not of the form"),
    ("guestproof_fuzz_target(rng rng_fuzz.cc SUBJECT lib EXCEPT)", "is not of the form"),
    ("guestproof_fuzz_target(rng a SUBJECT b)\nguestproof_fuzz_target(rng a SUBJECT b)", "rng is declared 2 times"),
])
def test_bad_declarations(sketch, text, sentence):
    sketch.write("fuzz/CMakeLists.txt", text)
    with pytest.raises(Fail) as failure:
        targets.load(sketch.root)
    assert sentence in str(failure.value)


def test_no_declarations(sketch):
    sketch.remove("fuzz/CMakeLists.txt")
    with pytest.raises(Fail, match="cannot read the list of fuzz targets: No such file or directory"):
        targets.load(sketch.root)
