/* SPDX-License-Identifier: Apache-2.0 */
/* An interpreter for filters: the few instructions that libseccomp makes; any other fails the test. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* What the filter returns for the call. */
uint32_t bpf_eval(const struct sock_filter *code, size_t len, const struct seccomp_data *data);
