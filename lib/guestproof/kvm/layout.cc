#include "guestproof/kvm/abi.h"

// The layout of every structure that a wrapped call passes, and of what lies in the shared pages.
// Expected are the sizes and offsets of rust-vmm's kvm-bindings 0.14, which bindgen computed with
// Clang from the headers of Linux 6.15 and which its tests assert (Apache-2.0 or BSD-3-Clause; only
// the numbers are from there). Where these have an unnamed union, its offset follows from the
// members before it. kvm_riscv_config and kvm_riscv_csr have grown since Linux 6.1: of these only
// the members that both know stand here.
namespace guestproof::kvm {
namespace {

template <std::size_t kFound, std::size_t kExpected>
consteval bool same() {
  static_assert(kFound == kExpected, "not where the kernel has it");
  return true;
}
template <class... Checks>
consteval bool all(Checks... checks) {
  return (checks && ...);
}

#define AT(member, expected) same<offsetof(Laid, member), expected>()
#define LAYOUT(type, size, ...)                            \
  static_assert([] {                                       \
    using Laid = type;                                     \
    return same<sizeof(Laid), size>() && all(__VA_ARGS__); \
  }())

LAYOUT(kvm_userspace_memory_region, 32, AT(slot, 0), AT(flags, 4), AT(guest_phys_addr, 8),
       AT(memory_size, 16), AT(userspace_addr, 24));
LAYOUT(kvm_userspace_memory_region2, 160, AT(slot, 0), AT(flags, 4), AT(guest_phys_addr, 8),
       AT(memory_size, 16), AT(userspace_addr, 24), AT(guest_memfd_offset, 32),
       AT(guest_memfd, 40));
LAYOUT(kvm_memory_attributes, 32, AT(address, 0), AT(size, 8), AT(attributes, 16), AT(flags, 24));
LAYOUT(kvm_create_guest_memfd, 64, AT(size, 0), AT(flags, 8));
LAYOUT(kvm_pre_fault_memory, 64, AT(gpa, 0), AT(size, 8), AT(flags, 16));
LAYOUT(kvm_dirty_log, 16, AT(slot, 0), AT(dirty_bitmap, 8));
LAYOUT(kvm_clear_dirty_log, 24, AT(slot, 0), AT(num_pages, 4), AT(first_page, 8),
       AT(dirty_bitmap, 16));
LAYOUT(kvm_dirty_gfn, 16, AT(flags, 0), AT(slot, 4), AT(offset, 8));
LAYOUT(kvm_coalesced_mmio_zone, 16, AT(addr, 0), AT(size, 8), AT(pio, 12));
LAYOUT(kvm_coalesced_mmio, 24, AT(phys_addr, 0), AT(len, 8), AT(pio, 12), AT(data, 16));
LAYOUT(kvm_coalesced_mmio_ring, 8, AT(first, 0), AT(last, 4), AT(coalesced_mmio, 8));
LAYOUT(kvm_irqchip, 520, AT(chip_id, 0), AT(chip, 8));
LAYOUT(kvm_irq_level, 8, AT(irq, 0), AT(status, 0), AT(level, 4));
LAYOUT(kvm_msi, 32, AT(address_lo, 0), AT(address_hi, 4), AT(data, 8), AT(flags, 12),
       AT(devid, 16));
LAYOUT(kvm_irq_routing_irqchip, 8, AT(irqchip, 0), AT(pin, 4));
LAYOUT(kvm_irq_routing_msi, 16, AT(address_lo, 0), AT(address_hi, 4), AT(data, 8), AT(devid, 12));
LAYOUT(kvm_irq_routing_hv_sint, 8, AT(vcpu, 0), AT(sint, 4));
LAYOUT(kvm_irq_routing_xen_evtchn, 12, AT(port, 0), AT(vcpu, 4), AT(priority, 8));
LAYOUT(kvm_irq_routing_entry, 48, AT(gsi, 0), AT(type, 4), AT(flags, 8), AT(u, 16),
       AT(u.irqchip, 16), AT(u.msi, 16), AT(u.adapter, 16), AT(u.hv_sint, 16),
       AT(u.xen_evtchn, 16));
LAYOUT(kvm_irq_routing, 8, AT(nr, 0), AT(flags, 4), AT(entries, 8));
LAYOUT(kvm_irqfd, 32, AT(fd, 0), AT(gsi, 4), AT(flags, 8), AT(resamplefd, 12));
LAYOUT(kvm_ioeventfd, 64, AT(datamatch, 0), AT(addr, 8), AT(len, 16), AT(fd, 20), AT(flags, 24));
LAYOUT(kvm_enable_cap, 104, AT(cap, 0), AT(flags, 4), AT(args, 8));
LAYOUT(kvm_create_device, 12, AT(type, 0), AT(fd, 4), AT(flags, 8));
LAYOUT(kvm_device_attr, 24, AT(flags, 0), AT(group, 4), AT(attr, 8), AT(addr, 16));
LAYOUT(kvm_run, 2352, AT(request_interrupt_window, 0), AT(immediate_exit, 1), AT(exit_reason, 8),
       AT(ready_for_interrupt_injection, 12), AT(if_flag, 13), AT(flags, 14), AT(cr8, 16),
       AT(apic_base, 24), AT(hw, 32), AT(fail_entry, 32), AT(fail_entry.cpu, 40), AT(ex, 32),
       AT(ex.exception, 32), AT(ex.error_code, 36), AT(io, 32), AT(io.direction, 32),
       AT(io.size, 33), AT(io.port, 34), AT(io.count, 36), AT(io.data_offset, 40), AT(debug, 32),
       AT(debug.arch, 32), AT(mmio, 32), AT(mmio.phys_addr, 32), AT(mmio.data, 40),
       AT(mmio.len, 48), AT(mmio.is_write, 52), AT(hypercall, 32), AT(hypercall.nr, 32),
       AT(hypercall.args, 40), AT(hypercall.ret, 88), AT(tpr_access, 32), AT(tpr_access.rip, 32),
       AT(tpr_access.is_write, 40), AT(s390_sieic, 32), AT(s390_sieic.icptcode, 32),
       AT(s390_sieic.ipa, 34), AT(s390_sieic.ipb, 36), AT(s390_reset_flags, 32),
       AT(s390_ucontrol, 32), AT(s390_ucontrol.trans_exc_code, 32), AT(s390_ucontrol.pgm_code, 40),
       AT(dcr, 32), AT(dcr.dcrn, 32), AT(dcr.data, 36), AT(dcr.is_write, 40), AT(internal, 32),
       AT(internal.suberror, 32), AT(internal.ndata, 36), AT(internal.data, 40),
       AT(emulation_failure, 32), AT(emulation_failure.suberror, 32),
       AT(emulation_failure.ndata, 36), AT(emulation_failure.flags, 40), AT(osi, 32),
       AT(osi.gprs, 32), AT(papr_hcall, 32), AT(papr_hcall.nr, 32), AT(papr_hcall.ret, 40),
       AT(papr_hcall.args, 48), AT(s390_tsch, 32), AT(s390_tsch.subchannel_id, 32),
       AT(s390_tsch.subchannel_nr, 34), AT(s390_tsch.io_int_parm, 36),
       AT(s390_tsch.io_int_word, 40), AT(s390_tsch.ipb, 44), AT(s390_tsch.dequeued, 48),
       AT(epr, 32), AT(epr.epr, 32), AT(system_event, 32), AT(system_event.type, 32),
       AT(system_event.ndata, 36), AT(system_event.data, 40), AT(s390_stsi, 32),
       AT(s390_stsi.addr, 32), AT(s390_stsi.ar, 40), AT(s390_stsi.fc, 42), AT(s390_stsi.sel1, 43),
       AT(s390_stsi.sel2, 44), AT(eoi, 32), AT(eoi.vector, 32), AT(hyperv, 32), AT(arm_nisv, 32),
       AT(arm_nisv.esr_iss, 32), AT(arm_nisv.fault_ipa, 40), AT(msr, 32), AT(msr.error, 32),
       AT(msr.reason, 40), AT(msr.index, 44), AT(msr.data, 48), AT(xen, 32), AT(riscv_sbi, 32),
       AT(riscv_sbi.extension_id, 32), AT(riscv_sbi.function_id, 40), AT(riscv_sbi.args, 48),
       AT(riscv_sbi.ret, 96), AT(riscv_csr, 32), AT(riscv_csr.csr_num, 32),
       AT(riscv_csr.new_value, 40), AT(riscv_csr.write_mask, 48), AT(riscv_csr.ret_value, 56),
       AT(notify, 32), AT(notify.flags, 32), AT(kvm_valid_regs, 288), AT(kvm_dirty_regs, 296),
       AT(s, 304), AT(s.regs, 304));
LAYOUT(kvm_hyperv_exit, 56, AT(type, 0), AT(u, 8), AT(u.synic, 8), AT(u.synic.msr, 8),
       AT(u.synic.control, 16), AT(u.synic.evt_page, 24), AT(u.synic.msg_page, 32), AT(u.hcall, 8),
       AT(u.hcall.input, 8), AT(u.hcall.result, 16), AT(u.hcall.params, 24), AT(u.syndbg, 8),
       AT(u.syndbg.msr, 8), AT(u.syndbg.control, 16), AT(u.syndbg.status, 24),
       AT(u.syndbg.send_page, 32), AT(u.syndbg.recv_page, 40));
LAYOUT(kvm_xen_exit, 80, AT(type, 0), AT(u, 8), AT(u.hcall, 8), AT(u.hcall.longmode, 8),
       AT(u.hcall.cpl, 12), AT(u.hcall.input, 16), AT(u.hcall.result, 24), AT(u.hcall.params, 32));
LAYOUT(kvm_mp_state, 4, AT(mp_state, 0));
LAYOUT(kvm_interrupt, 4, AT(irq, 0));
LAYOUT(kvm_translation, 24, AT(linear_address, 0), AT(physical_address, 8), AT(valid, 16),
       AT(writeable, 17), AT(usermode, 18));
LAYOUT(kvm_signal_mask, 4, AT(len, 0), AT(sigset, 4));
LAYOUT(kvm_one_reg, 16, AT(id, 0), AT(addr, 8));
LAYOUT(kvm_reg_list, 8, AT(n, 0), AT(reg, 8));
LAYOUT(kvm_stats_header, 24, AT(flags, 0), AT(name_size, 4), AT(num_desc, 8), AT(id_offset, 12),
       AT(desc_offset, 16), AT(data_offset, 20));
LAYOUT(kvm_stats_desc, 16, AT(flags, 0), AT(exponent, 4), AT(size, 6), AT(offset, 8),
       AT(bucket_size, 12), AT(name, 16));
LAYOUT(kvm_clock_data, 48, AT(clock, 0), AT(flags, 8), AT(realtime, 16), AT(host_tsc, 24));
LAYOUT(kvm_enc_region, 16, AT(addr, 0), AT(size, 8));
LAYOUT(kvm_pit_config, 64, AT(flags, 0));

#if defined(__x86_64__)
LAYOUT(kvm_regs, 144, AT(rax, 0), AT(rbx, 8), AT(rcx, 16), AT(rdx, 24), AT(rsi, 32), AT(rdi, 40),
       AT(rsp, 48), AT(rbp, 56), AT(r8, 64), AT(r9, 72), AT(r10, 80), AT(r11, 88), AT(r12, 96),
       AT(r13, 104), AT(r14, 112), AT(r15, 120), AT(rip, 128), AT(rflags, 136));
LAYOUT(kvm_segment, 24, AT(base, 0), AT(limit, 8), AT(selector, 12), AT(type, 14), AT(present, 15),
       AT(dpl, 16), AT(db, 17), AT(s, 18), AT(l, 19), AT(g, 20), AT(avl, 21), AT(unusable, 22));
LAYOUT(kvm_dtable, 16, AT(base, 0), AT(limit, 8));
LAYOUT(kvm_sregs, 312, AT(cs, 0), AT(ds, 24), AT(es, 48), AT(fs, 72), AT(gs, 96), AT(ss, 120),
       AT(tr, 144), AT(ldt, 168), AT(gdt, 192), AT(idt, 208), AT(cr0, 224), AT(cr2, 232),
       AT(cr3, 240), AT(cr4, 248), AT(cr8, 256), AT(efer, 264), AT(apic_base, 272),
       AT(interrupt_bitmap, 280));
LAYOUT(kvm_sregs2, 320, AT(cs, 0), AT(ds, 24), AT(es, 48), AT(fs, 72), AT(gs, 96), AT(ss, 120),
       AT(tr, 144), AT(ldt, 168), AT(gdt, 192), AT(idt, 208), AT(cr0, 224), AT(cr2, 232),
       AT(cr3, 240), AT(cr4, 248), AT(cr8, 256), AT(efer, 264), AT(apic_base, 272), AT(flags, 280),
       AT(pdptrs, 288));
LAYOUT(kvm_fpu, 416, AT(fpr, 0), AT(fcw, 128), AT(fsw, 130), AT(ftwx, 132), AT(last_opcode, 134),
       AT(last_ip, 136), AT(last_dp, 144), AT(xmm, 152), AT(mxcsr, 408));
LAYOUT(kvm_cpuid_entry2, 40, AT(function, 0), AT(index, 4), AT(flags, 8), AT(eax, 12), AT(ebx, 16),
       AT(ecx, 20), AT(edx, 24));
LAYOUT(kvm_cpuid2, 8, AT(nent, 0), AT(entries, 8));
LAYOUT(kvm_msr_entry, 16, AT(index, 0), AT(data, 8));
LAYOUT(kvm_msrs, 8, AT(nmsrs, 0), AT(entries, 8));
LAYOUT(kvm_msr_list, 4, AT(nmsrs, 0), AT(indices, 4));
LAYOUT(kvm_msr_filter_range, 24, AT(flags, 0), AT(nmsrs, 4), AT(base, 8), AT(bitmap, 16));
LAYOUT(kvm_msr_filter, 392, AT(flags, 0), AT(ranges, 8));
LAYOUT(kvm_lapic_state, 1024, AT(regs, 0));
LAYOUT(kvm_pic_state, 16, AT(last_irr, 0), AT(irr, 1), AT(imr, 2), AT(isr, 3), AT(priority_add, 4),
       AT(irq_base, 5), AT(read_reg_select, 6), AT(poll, 7), AT(special_mask, 8), AT(init_state, 9),
       AT(auto_eoi, 10), AT(rotate_on_auto_eoi, 11), AT(special_fully_nested_mode, 12),
       AT(init4, 13), AT(elcr, 14), AT(elcr_mask, 15));
LAYOUT(kvm_ioapic_state, 216, AT(base_address, 0), AT(ioregsel, 8), AT(id, 12), AT(irr, 16),
       AT(redirtbl, 24));
LAYOUT(kvm_pit_channel_state, 24, AT(count, 0), AT(latched_count, 4), AT(count_latched, 6),
       AT(status_latched, 7), AT(status, 8), AT(read_state, 9), AT(write_state, 10),
       AT(write_latch, 11), AT(rw_mode, 12), AT(mode, 13), AT(bcd, 14), AT(gate, 15),
       AT(count_load_time, 16));
LAYOUT(kvm_pit_state2, 112, AT(channels, 0), AT(flags, 72));
LAYOUT(kvm_xsave, 4096, AT(region, 0), AT(extra, 4096));
LAYOUT(kvm_xcr, 16, AT(xcr, 0), AT(value, 8));
LAYOUT(kvm_xcrs, 392, AT(nr_xcrs, 0), AT(flags, 4), AT(xcrs, 8));
LAYOUT(kvm_debugregs, 128, AT(db, 0), AT(dr6, 32), AT(dr7, 40), AT(flags, 48));
LAYOUT(kvm_vcpu_events, 64, AT(exception, 0), AT(exception.injected, 0), AT(exception.nr, 1),
       AT(exception.has_error_code, 2), AT(exception.pending, 3), AT(exception.error_code, 4),
       AT(interrupt, 8), AT(interrupt.injected, 8), AT(interrupt.nr, 9), AT(interrupt.soft, 10),
       AT(interrupt.shadow, 11), AT(nmi, 12), AT(nmi.injected, 12), AT(nmi.pending, 13),
       AT(nmi.masked, 14), AT(sipi_vector, 16), AT(flags, 20), AT(smi, 24), AT(smi.smm, 24),
       AT(smi.pending, 25), AT(smi.smm_inside_nmi, 26), AT(smi.latched_init, 27),
       AT(triple_fault, 28), AT(triple_fault.pending, 28), AT(exception_has_payload, 55),
       AT(exception_payload, 56));
LAYOUT(kvm_pmu_event_filter, 32, AT(action, 0), AT(nevents, 4), AT(fixed_counter_bitmap, 8),
       AT(flags, 12), AT(events, 32));
LAYOUT(kvm_debug_exit_arch, 32, AT(exception, 0), AT(pc, 8), AT(dr6, 16), AT(dr7, 24));
LAYOUT(kvm_guest_debug_arch, 64, AT(debugreg, 0));
LAYOUT(kvm_sync_regs, 520, AT(regs, 0), AT(sregs, 144), AT(events, 456));
LAYOUT(kvm_vmx_nested_state_data, 8192, AT(vmcs12, 0), AT(shadow_vmcs12, 4096));
LAYOUT(kvm_vmx_nested_state_hdr, 32, AT(vmxon_pa, 0), AT(vmcs12_pa, 8), AT(smm, 16),
       AT(smm.flags, 16), AT(flags, 20), AT(preemption_timer_deadline, 24));
LAYOUT(kvm_svm_nested_state_hdr, 8, AT(vmcb_pa, 0));
LAYOUT(kvm_svm_nested_state_data, 4096, AT(vmcb12, 0));
LAYOUT(kvm_nested_state, 128, AT(flags, 0), AT(format, 2), AT(size, 4), AT(hdr, 8), AT(hdr.vmx, 8),
       AT(hdr.svm, 8), AT(data, 128));
LAYOUT(kvm_tpr_access_ctl, 40, AT(enabled, 0), AT(flags, 4));
LAYOUT(kvm_vapic_addr, 8, AT(vapic_addr, 0));
LAYOUT(kvm_sev_cmd, 24, AT(id, 0), AT(data, 8), AT(error, 16), AT(sev_fd, 20));
LAYOUT(kvm_xen_hvm_config, 56, AT(flags, 0), AT(msr, 4), AT(blob_addr_32, 8), AT(blob_addr_64, 16),
       AT(blob_size_32, 24), AT(blob_size_64, 25));
LAYOUT(kvm_xen_hvm_attr, 72, AT(type, 0), AT(u, 8), AT(u.long_mode, 8), AT(u.vector, 8),
       AT(u.shared_info, 8), AT(u.shared_info.gfn, 8), AT(u.evtchn, 8), AT(u.evtchn.send_port, 8),
       AT(u.evtchn.type, 12), AT(u.evtchn.flags, 16), AT(u.evtchn.deliver, 20),
       AT(u.xen_version, 8));
LAYOUT(kvm_xen_vcpu_attr, 72, AT(type, 0), AT(u, 8), AT(u.gpa, 8), AT(u.runstate, 8),
       AT(u.runstate.state, 8), AT(u.vcpu_id, 8), AT(u.timer, 8), AT(u.timer.port, 8),
       AT(u.timer.priority, 12), AT(u.vector, 8));
LAYOUT(kvm_hyperv_eventfd, 24, AT(conn_id, 0), AT(fd, 4), AT(flags, 8));
LAYOUT(kvm_x86_mce, 64, AT(status, 0), AT(addr, 8), AT(misc, 16), AT(mcg_status, 24), AT(bank, 32));
LAYOUT(kvm_guest_debug, 72, AT(control, 0), AT(arch, 8));
LAYOUT(kvm_irqchip, 520, AT(chip.pic, 8), AT(chip.ioapic, 8));
#elif defined(__aarch64__)
LAYOUT(user_pt_regs, 272, AT(regs, 0), AT(sp, 248), AT(pc, 256), AT(pstate, 264));
LAYOUT(user_fpsimd_state, 528, AT(vregs, 0), AT(fpsr, 512), AT(fpcr, 516));
LAYOUT(kvm_regs, 864, AT(regs, 0), AT(sp_el1, 272), AT(elr_el1, 280), AT(spsr, 288),
       AT(fp_regs, 336));
LAYOUT(kvm_vcpu_init, 32, AT(target, 0), AT(features, 4));
LAYOUT(kvm_vcpu_events, 64, AT(exception, 0), AT(exception.serror_pending, 0),
       AT(exception.serror_has_esr, 1), AT(exception.ext_dabt_pending, 2),
       AT(exception.serror_esr, 8));
LAYOUT(kvm_debug_exit_arch, 16, AT(hsr, 0), AT(hsr_high, 4), AT(far, 8));
LAYOUT(kvm_guest_debug_arch, 512, AT(dbg_bcr, 0), AT(dbg_bvr, 128), AT(dbg_wcr, 256),
       AT(dbg_wvr, 384));
LAYOUT(kvm_sync_regs, 8, AT(device_irq_level, 0));
LAYOUT(kvm_arm_device_addr, 16, AT(id, 0), AT(addr, 8));
LAYOUT(kvm_arm_copy_mte_tags, 48, AT(guest_ipa, 0), AT(length, 8), AT(addr, 16), AT(flags, 24));
LAYOUT(kvm_arm_counter_offset, 16, AT(counter_offset, 0));
LAYOUT(kvm_smccc_filter, 24, AT(base, 0), AT(nr_functions, 4), AT(action, 8));
LAYOUT(reg_mask_range, 64, AT(addr, 0), AT(range, 8));
LAYOUT(kvm_pmu_event_filter, 8, AT(base_event, 0), AT(nevents, 2), AT(action, 4));
LAYOUT(kvm_guest_debug, 520, AT(control, 0), AT(arch, 8));
#elif defined(__riscv)
LAYOUT(user_regs_struct, 256, AT(pc, 0), AT(ra, 8), AT(sp, 16), AT(gp, 24), AT(tp, 32), AT(t0, 40),
       AT(t1, 48), AT(t2, 56), AT(s0, 64), AT(s1, 72), AT(a0, 80), AT(a1, 88), AT(a2, 96),
       AT(a3, 104), AT(a4, 112), AT(a5, 120), AT(a6, 128), AT(a7, 136), AT(s2, 144), AT(s3, 152),
       AT(s4, 160), AT(s5, 168), AT(s6, 176), AT(s7, 184), AT(s8, 192), AT(s9, 200), AT(s10, 208),
       AT(s11, 216), AT(t3, 224), AT(t4, 232), AT(t5, 240), AT(t6, 248));
LAYOUT(kvm_riscv_core, 264, AT(regs, 0), AT(mode, 256));
LAYOUT(kvm_riscv_aia_csr, 56, AT(siselect, 0), AT(iprio1, 8), AT(iprio2, 16), AT(sieh, 24),
       AT(siph, 32), AT(iprio1h, 40), AT(iprio2h, 48));
LAYOUT(kvm_riscv_smstateen_csr, 8, AT(sstateen0, 0));
LAYOUT(kvm_riscv_timer, 32, AT(frequency, 0), AT(time, 8), AT(compare, 16), AT(state, 24));
LAYOUT(kvm_riscv_sbi_sta, 16, AT(shmem_lo, 0), AT(shmem_hi, 8));

LAYOUT(kvm_riscv_config, sizeof(kvm_riscv_config), AT(isa, 0), AT(zicbom_block_size, 8));
LAYOUT(kvm_riscv_csr, sizeof(kvm_riscv_csr), AT(sstatus, 0), AT(sie, 8), AT(stvec, 16),
       AT(sscratch, 24), AT(sepc, 32), AT(scause, 40), AT(stval, 48), AT(sip, 56), AT(satp, 64),
       AT(scounteren, 72));
#endif

}  // namespace
}  // namespace guestproof::kvm
