// Package xlate changes flow records: conversion between record versions, the
// actions of xlate files (network masks, privacy masks, scaling, AS
// replacement), and prefix-preserving anonymization of addresses.
package xlate
