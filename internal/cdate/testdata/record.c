// Fills the last column of the tables beside it with what the C library says:
//
//	gcc -o /tmp/record record.c && for t in localtime strftime mktime; do
//		/tmp/record $t < $t.txt > /tmp/$t && mv /tmp/$t $t.txt; done
//
// Columns are separated by tabs; the first is TZ, and zoneinfo/NAME there is the
// file in this directory.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static char line[4096], out[4096], tz[4096];
	char cwd[2048];
	if (argc != 2 || !getcwd(cwd, sizeof cwd))
		return 1;
	while (fgets(line, sizeof line, stdin)) {
		struct tm t;
		long s;
		char *zone = line, *arg, *format;
		line[strcspn(line, "\n")] = 0;
		arg = strchr(line, '\t');
		*arg++ = 0;
		if (strncmp(zone, "zoneinfo/", 9))
			snprintf(tz, sizeof tz, "%s", zone);
		else
			snprintf(tz, sizeof tz, "%s/%s", cwd, zone);
		setenv("TZ", tz, 1);
		tzset();
		if (!strcmp(argv[1], "mktime")) {
			fflush(stdout);
			if (fork() == 0) { // mktime remembers earlier calls
				memset(&t, 0, sizeof t);
				arg[strcspn(arg, "\t")] = 0;
				sscanf(arg, "%d %d %d %d %d %d", &t.tm_year, &t.tm_mon, &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec);
				t.tm_year -= 1900, t.tm_mon--, t.tm_isdst = -1;
				printf("%s\t%s\t%ld\n", zone, arg, (long)mktime(&t));
				fflush(stdout);
				_exit(0);
			}
			wait(NULL);
			continue;
		}
		s = strtol(arg, &format, 10);
		t = *localtime(&s);
		if (!strcmp(argv[1], "localtime")) {
			printf("%s\t%ld\t%d-%d-%d %d:%d:%d %d %d %d %ld <%s>\n", zone, s, t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
			       t.tm_hour, t.tm_min, t.tm_sec, t.tm_wday, t.tm_yday, t.tm_isdst, t.tm_gmtoff, t.tm_zone);
			continue;
		}
		format++;
		format[strcspn(format, "\t")] = 0;
		out[strftime(out, sizeof out, format, &t)] = 0;
		printf("%s\t%ld\t%s\t%s\n", zone, s, format, out);
	}
	return 0;
}
