#!/bin/bash
set -e

echo "=========================================="
echo "Shimmy Model Download Service - Test Script"
echo "=========================================="

# Setup port forward
echo "Setting up port forward..."
kubectl port-forward -n kube-scb svc/shimmy-model-downloader 8080:8080 > /dev/null 2>&1 &
PF_PID=$!
sleep 3

# Test 1: Check service status
echo -e "\n1. Testing service status..."
curl -s http://localhost:8080/ | jq .

# Test 2: Check health
echo -e "\n2. Testing health endpoint..."
curl -s http://localhost:8080/v1/health | jq .status

# Test 3: List models (should be empty initially)
echo -e "\n3. Listing models (before download)..."
curl -s http://localhost:8080/v1/models | jq .

# Test 4: Download a small model
echo -e "\n4. Downloading phi-3-mini model (~2.4GB)..."
echo "This will take several minutes..."
curl -X POST http://localhost:8080/v1/api/pull \
  -H "Content-Type: application/json" \
  -d '{
    "model": "TheBloke/phi-3-mini-4k-instruct-GGUF",
    "filename": "phi-3-mini-4k-instruct.Q4_K_M.gguf"
  }'

# Test 5: List models again
echo -e "\n\n5. Listing models (after download)..."
curl -s http://localhost:8080/v1/models | jq .

# Test 6: Test inference
echo -e "\n6. Testing inference with downloaded model..."
curl -X POST http://localhost:8080/v1/generate \
  -H "Content-Type: application/json" \
  -d '{
    "model": "phi-3-mini-4k-instruct",
    "prompt": "Say hello in 5 words",
    "stream": false,
    "max_tokens": 50
  }' | jq .

echo -e "\n=========================================="
echo "All tests complete!"
echo "=========================================="

# Cleanup
kill $PF_PID 2>/dev/null || true
