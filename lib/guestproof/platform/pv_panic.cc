#include "guestproof/platform/pv_panic.h"

#include "guestproof/base/bytes.h"
#include "guestproof/platform/registers.h"

namespace guestproof::platform {

Result<void> PvPanic::read(std::uint64_t offset, std::span<std::byte> data) {
  const auto ok = check_register(offset, data.size(), 1, kPvPanicPorts);
  if (ok)
    data[0] = std::byte{kPvPanicEvents};
  else
    answer_nothing(data);
  return ok;
}

Result<void> PvPanic::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (const auto ok = check_register(offset, data.size(), 1, kPvPanicPorts); !ok) return ok;
  const auto events = std::to_integer<std::uint8_t>(data[0]);
  if ((events & kPvPanicEvents) == 0)
    return fail(PlatformError::kPanicEvent, events, kPvPanicEvents);
  if ((events & kPvPanicPanicked) != 0) machine_->request(MachineRequest::kPanic);
  return {};
}

}  // namespace guestproof::platform
