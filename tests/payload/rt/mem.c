/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: the functions a compiler expects, a bump allocator, mappings above 4 GiB. */
#include "rt.h"

#define PTE_TABLE 0x07
#define PTE_RAM   0xe7
#define PAGE_2M   (2 * MIB)

extern uint64_t pml4[512], pdpt[512];

static uint64_t heap_next, heap_end;

void *memset(void *p, int c, size_t n)
{
	void *to = p;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return p;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *p = to;

	__asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n)::"memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] - y[i];
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n] != '\0')
		n++;
	return n;
}

/* From the end of the image to the end of its RAM range, or to what the monitor put in between. */
static void heap_init(void)
{
	const struct payload_boot *b = &rt_boot;
	const uint64_t occupied[] = {b->initrd, b->rsdp, b->raw};

	heap_next = (uint64_t)rt_image_end;
	for (unsigned i = 0; i < b->range_count; i++) {
		const struct mem_range *r = &b->range[i];

		if (r->type == E820_RAM && r->start <= heap_next && heap_next - r->start < r->len)
			heap_end = r->start + r->len;
	}
	for (unsigned i = 0; i < NELEM(occupied); i++)
		if (occupied[i] >= heap_next && occupied[i] < heap_end)
			heap_end = occupied[i];
	EXPECT(heap_end > heap_next, "no RAM after the payload in the memory map");
}

static uint64_t heap_kept;

void heap_keep(void)
{
	heap_kept = heap_next;
}

void heap_reset(void)
{
	heap_next = heap_kept;
}

void *alloc(size_t len, size_t align)
{
	uint64_t p;

	if (heap_end == 0)
		heap_init();
	p = (heap_next + align - 1) & ~(uint64_t)(align - 1);
	EXPECT(p <= heap_end && len <= heap_end - p, "out of memory for %lu bytes", len);
	heap_next = p + len;
	return memset((void *)p, 0, len);
}

/* New entries only, which were not present before: no TLB holds them, no flush is needed. */
void map_high(uint64_t start, uint64_t len)
{
	uint64_t end = start + len;

	EXPECT(start >= 4 * GIB && end <= 512 * GIB, "cannot map 0x%lx", start);
	for (uint64_t a = start & ~(PAGE_2M - 1); a < end; a += PAGE_2M) {
		uint64_t *pd;

		if (pdpt[a / GIB] == 0) {
			pdpt[a / GIB] = (uint64_t)alloc(PAGE, PAGE) | PTE_TABLE;
			heap_keep();
		}
		pd = (uint64_t *)(pdpt[a / GIB] & ~(PAGE - 1));
		pd[a / PAGE_2M % 512] = a | PTE_RAM;
	}
	mb();
}

static uint64_t top_below(uint64_t limit)
{
	uint64_t top = 0;

	for (unsigned i = 0; i < rt_boot.range_count; i++) {
		const struct mem_range *r = &rt_boot.range[i];
		uint64_t end = r->start + r->len;

		if (r->type == E820_RAM && end <= limit && end > top)
			top = end;
	}
	return top;
}

uint64_t ram_top(void)
{
	return top_below(~0ull);
}

uint64_t ram_low_top(void)
{
	return top_below(4 * GIB);
}
