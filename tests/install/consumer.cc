// What a user's first program does: a driver sends a number, the device answers it.
#include <cstdio>

#include "guestproof/memory/mapped_memory.h"
#include "guestproof/testing/driver.h"
#include "guestproof/virtio/queue/split_queue.h"

using guestproof::GuestAddress;
using guestproof::MappedMemory;

int main() {
  const auto memory = MappedMemory::Builder().anonymous(GuestAddress(0), 0x10000).build().value();
  guestproof::testing::Driver driver(memory,
                                     guestproof::testing::QueueLayout::at(GuestAddress(0), 8));
  guestproof::virtio::SplitQueue<MappedMemory> queue;
  if (!queue.activate(memory, driver.layout().config(), {})) return 1;
  driver.add_chain({{GuestAddress(0x1000), 4}, {GuestAddress(0x2000), 4, true}});

  auto chain = std::move(queue.pop().value().value());
  const auto number = chain.reader().read_object<guestproof::le32>().value();
  if (!chain.writer().write_object(guestproof::le32(number + 1)) || !chain.complete(4)) return 1;

  const auto answer = guestproof::read_object<guestproof::le32>(memory, GuestAddress(0x2000));
  std::printf("answered %u\n", static_cast<unsigned>(*answer));
  return *answer == 1 ? 0 : 1;
}
