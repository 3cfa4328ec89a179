// Keeps a harness's depth counters in the file that $GUESTPROOF_DEPTH_FILE names, mapped shared: a
// worker that is killed loses no count. The file is a sequence of 64-byte records (name,
// zero-padded to 56 bytes, u64 little-endian count) that an empty name ends; 32 KiB in all. An
// existing file with the same names is gone on with, any other is started anew.
#pragma once

#include "guestproof/testing/harness/depth.h"

namespace guestproof::fuzz {

/// Does nothing when the variable is not set; a file that cannot be had ends the process with a
/// sentence.
void bind_depth_file(testing::Depth& depth);

}  // namespace guestproof::fuzz
