// Files that the person who starts the machine names.
//
// Thread-safety: functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "guestproof/base/fd.h"
#include "vmm/complaint.h"

namespace guestproof::vmm {

/// More than any configuration file has.
inline constexpr std::size_t kMaxTextFile = 1 << 20;

/// Close-on-exec, and without waiting for the other end of a FIFO, which may then not be there;
/// what is created is the owner's alone. `option` and `path` are for the complaint, which is
/// kSetup.
[[nodiscard]] Outcome<Fd> open_file(std::string_view option, const std::string& path, int flags);
/// For reading, from a FIFO also what writers bring that come late, or after others have gone.
[[nodiscard]] Outcome<Fd> open_input(std::string_view option, const std::string& path);
/// All of a regular file. Complaints: kSetup; it is no regular file, it has more than `most` bytes,
/// or none.
[[nodiscard]] Outcome<std::vector<std::byte>> read_file(std::string_view option,
                                                        const std::string& path, std::size_t most);
[[nodiscard]] Outcome<std::string> read_text_file(std::string_view option, const std::string& path);

}  // namespace guestproof::vmm
