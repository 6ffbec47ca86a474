// Fills the columns of numbers.txt behind the first with what the C library
// makes of its text:
//
//	gcc -o /tmp/record record.c && /tmp/record < numbers.txt > /tmp/n && mv /tmp/n numbers.txt
//
// strtoul and strtol with base 0 and 10, each with the bytes it read, atoi, strtod
// as its bits with the bytes it read, and the fields of sscanf "%u.%u".
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	static char s[4096];
	while (fgets(s, sizeof s, stdin)) {
		char *end;
		int base[] = {0, 10}, i, n;
		unsigned a = 0, b = 0;
		double d;
		uint64_t bits;
		s[strcspn(s, "\t\n")] = 0;
		printf("%s", s);
		for (i = 0; i < 2; i++) {
			unsigned long u = strtoul(s, &end, base[i]);
			printf("\t%lu %d", u, (int)(end - s));
			printf("\t%ld", strtol(s, &end, base[i]));
		}
		d = strtod(s, &end);
		memcpy(&bits, &d, 8);
		printf("\t%d\t%016lx %d", atoi(s), bits, (int)(end - s));
		n = sscanf(s, "%u.%u", &a, &b);
		printf("\t%d %u %u\n", n < 0 ? 0 : n, a, b);
	}
	return 0;
}
