// The run page under test. Target: kvm_exit.
//
// The mapping has three pages unless the program says otherwise: `queue` gives it 1 + index modulo
// 4 pages, `activate` exactly `index` bytes.
//
// Requests, kind modulo 27: an exit as KVM would write it, of the kind at that place in kKinds
// (kvm_exit_harness.cc). `value` is its first number or its data, `index` a port, an MSR or
// another small number, `length` a count (brought into the range that is valid unless raw),
// `address` where port items lie, `cut` the size of a port item; raw takes `extra` for the
// direction or the type. `kick` decodes the page once, or `budget` times.
//
// `access` works on the exit that was decoded last: data are read or written, an answer is `value`
// (and `length`); an odd kind refuses an MSR access. `backend` reads or writes the field for the
// host at kind modulo 12; what is written is `value`.
#pragma once

#include <optional>

#include "guestproof/kvm/run_page.h"
#include "guestproof/testing/harness/page_harness.h"
#include "guestproof/testing/model/kvm_exit_model.h"

namespace guestproof::testing {

using WatchedRunPage = kvm::BasicRunPage<WatchedMemory::Slice>;

class KvmExitHarness : public PageHarness {
 public:
  KvmExitHarness();

  [[nodiscard]] std::string_view name() const override { return "kvm_exit"; }

 protected:
  /// What is under test; tests of the oracles put a faulty one here.
  [[nodiscard]] virtual Result<kvm::Exit> decode(const WatchedRunPage& page) const {
    return page.decode();
  }

 private:
  [[nodiscard]] std::uint64_t default_size() const override { return 3 * kPage; }
  [[nodiscard]] std::uint64_t size_of(std::uint16_t index) const override {
    return (1 + index % 4) * kPage;
  }
  [[nodiscard]] Result<void> map_reader(const WatchedMemory::Slice& mapping) override;
  [[nodiscard]] ModelError map_model(std::uint64_t size) override;
  [[nodiscard]] SpaceRange area(Space space) const override;
  void request(const Record& record) override;
  void kick(std::uint32_t budget) override;
  void act(const Record& record) override;

  void decode_once();
  void access_data(const Record& record);
  void answer(const Record& record);
  void host_field(const Record& record);
  void sync_registers(const Record& record, bool read);
  [[nodiscard]] KvmExitModel model() const { return {world().model(), size()}; }

  std::optional<WatchedRunPage> page_;
  std::optional<kvm::Exit> exit_;  // the last one, still to be answered
  ModelExit model_exit_;
  Depth::Index first_kind_, first_field_, sync_out_, sync_in_, data_, answers_, refusals_;
};

}  // namespace guestproof::testing
