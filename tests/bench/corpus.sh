#!/bin/sh
# Unpack Debian packages of real images into .corpus, without installing them. Their versions are Debian 12's.
set -eu
mkdir -p .corpus
cd .corpus
for package in \
    lomiri-wallpapers-16.04=20.04.0-2 \
    lomiri-wallpapers-20.04=20.04.0-2 \
    plasma-workspace-wallpapers=4:5.27.5-2 \
    ukui-wallpapers=20.04.3-1.1; do
    apt-get download -qq "$package"
done
for file in *.deb; do
    dpkg-deb --extract "$file" .
    rm "$file"
done
