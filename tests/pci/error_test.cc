#include "guestproof/pci/error.h"

#include <gtest/gtest.h>

namespace guestproof::pci {
namespace {

TEST(PciErrorTest, SaysWhatWasWrongWithValueAndLimit) {
  EXPECT_EQ(Error(PciError::kWidth, 8, 4).message(),
            "an access of 8 bytes; possible are 1 to 4, and in configuration space no 3");
  EXPECT_EQ(Error(PciError::kBarOverlap, 0xe0001000, 0xe0000000).message(),
            "a BAR at 0xe0001000 is on top of the one at 0xe0000000, which comes first");
  EXPECT_EQ(Error(MsixError::kVector, 3, 3).message(), "vector 3 of a table of 3");
  EXPECT_EQ(Error(PciBuildError::kCapabilityRoom, 20, 4).message(),
            "a capability of 20 bytes; 4 are left");
  EXPECT_EQ(Error(PciStateError::kMsixPending, 70, 65).message(),
            "MSI-X state has vector 70 pending; the table has 65");
}

TEST(PciErrorTest, DomainsHaveNamesOfTheirOwn) {
  EXPECT_EQ(Error(PciError::kUnmapped).name(), "pci.unmapped");
  EXPECT_EQ(Error(MsixError::kPbaReadOnly).name(), "msix.pba_read_only");
  EXPECT_EQ(Error(PciBuildError::kMsixOverlap).name(), "pci_build.msix_overlap");
  EXPECT_EQ(Error(PciStateError::kReadOnly).name(), "pci_state.read_only");
}

}  // namespace
}  // namespace guestproof::pci
