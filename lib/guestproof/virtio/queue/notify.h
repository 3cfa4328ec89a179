// The event-index rule (virtio 1.3 §2.7.7.2 and §2.7.10): notify when the other side's event index
// was passed since the last notification. Templated on the index type so that the very same source
// is proved for all values.
#pragma once

#include <concepts>
#include <cstdint>

namespace guestproof::virtio {

/// True when `event` lies in [old_index, new_index) modulo 2^16. Index wraps: literals, which are
/// signed, would be compared wrongly, so they do not compile.
template <class Index = std::uint16_t>
  requires(!std::signed_integral<Index>)
constexpr auto need_event(Index event, Index new_index, Index old_index) {
  return static_cast<Index>(new_index - event - Index(1)) <
         static_cast<Index>(new_index - old_index);
}

}  // namespace guestproof::virtio
