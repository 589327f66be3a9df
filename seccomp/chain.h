/* SPDX-License-Identifier: Apache-2.0 */
/* A filter of libseccomp's, made anew so that it is put on in less time. For gen, and for filters made of JSON. */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>

#define CHAIN_LEN_MAX 4096

/*
 * Makes a program that gives the same answer as `in`, a filter of libseccomp's for x86-64, to every call. False if
 * it cannot: the program is of another form, or too long for its jumps. out has room for CHAIN_LEN_MAX.
 */
bool chain_make(const struct sock_filter *in, size_t len, struct sock_filter *out, size_t *ret_len);
