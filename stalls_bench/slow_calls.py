"""A library for LD_PRELOAD that makes fsync and fork of a server slow."""

import shutil
import subprocess
from pathlib import Path

#: The files ``fsync`` and ``fork`` in STALL_DIR hold milliseconds. While an fsync runs, a write to a file waits, as on
#: a real disk.
_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
static volatile int flying;
static int ms(const char *n){char p[300],b[16]={0};snprintf(p,300,"%s/%s",getenv("STALL_DIR"),n);
 FILE*f=fopen(p,"r");if(!f)return 0;if(!fgets(b,16,f))b[0]=0;fclose(f);return atoi(b);}
static int slow(void){int m=ms("fsync");if(m){flying=1;usleep(m*1000);flying=0;}return 0;}
int fdatasync(int f){(void)f;return slow();}
int fsync(int f){(void)f;return slow();}
ssize_t write(int fd,const void*b,size_t n){static ssize_t(*w)(int,const void*,size_t);
 if(!w)w=dlsym(RTLD_NEXT,"write");
 if(flying){struct stat s;if(!fstat(fd,&s)&&S_ISREG(s.st_mode))while(flying)usleep(2000);}return w(fd,b,n);}
pid_t fork(void){static pid_t(*f)(void);if(!f)f=dlsym(RTLD_NEXT,"fork");int m=ms("fork");struct timespec a,b;
 if(m){clock_gettime(CLOCK_MONOTONIC,&a);do clock_gettime(CLOCK_MONOTONIC,&b);
 while((b.tv_sec-a.tv_sec)*1000+(b.tv_nsec-a.tv_nsec)/1000000<m);}return f();}
"""


def can_build() -> bool:
    """Return whether there is a compiler."""
    return shutil.which("gcc") is not None


def build(folder: Path) -> Path | None:
    """Compile the library, and return its path. Return None without a compiler."""
    if not can_build():
        return None
    source, library = folder / "slow_calls.c", folder / "slow_calls.so"
    source.write_text(_SOURCE)
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library
