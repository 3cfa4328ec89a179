// Device-readable buffers are never written (§2.7.5).
#include "guestproof/memory/mapped_memory.h"
#include "guestproof/virtio/queue/cursor.h"

using guestproof::MappedMemory;

bool answer(guestproof::virtio::Reader<MappedMemory>& in,
            [[maybe_unused]] guestproof::virtio::Writer<MappedMemory>& out) {
#ifdef MUST_NOT_COMPILE
  return in.write_object(7).has_value();
#else
  return in.read_object<int>().has_value() && out.write_object(7).has_value();
#endif
}
