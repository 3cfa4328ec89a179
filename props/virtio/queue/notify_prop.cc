// The event-index rule against its meaning: walk from the old index to the new one and look for the
// event on the way.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "guestproof/virtio/queue/notify.h"

namespace guestproof::virtio {
namespace {

bool meets(std::uint16_t event, std::uint16_t new_index, std::uint16_t old_index) {
  for (auto index = old_index; index != new_index; ++index)
    if (index == event) return true;
  return false;
}

std::uint16_t any_index() {
  return static_cast<std::uint16_t>(*rc::gen::inRange<std::uint32_t>(0, 65536));
}

RC_GTEST_PROP(NeedEvent, IsWhetherTheWalkMeetsTheEvent, ()) {
  const auto event = any_index(), new_index = any_index(), old_index = any_index();
  RC_ASSERT(need_event(event, new_index, old_index) == meets(event, new_index, old_index));
}

RC_GTEST_PROP(NeedEvent, IsWhetherAShortWalkMeetsAnEventNearby, ()) {
  const auto old_index = any_index();
  const auto new_index = static_cast<std::uint16_t>(old_index + *rc::gen::inRange(0, 4));
  const auto event = static_cast<std::uint16_t>(old_index + *rc::gen::inRange(-2, 6));
  RC_ASSERT(need_event(event, new_index, old_index) == meets(event, new_index, old_index));
}

}  // namespace
}  // namespace guestproof::virtio
